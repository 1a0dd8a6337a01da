"""What another policy would have earned, from what one that drew by chance has logged.

All take n logged events: the ``rewards`` that followed, the ``propensities`` with which the logging policy
chose what it showed, and the ``targets`` with which the policy in question would have chosen the same. Where
that one wants what the logging policy never shows, none of them can know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

WIDTH = 1.96
"""Standard errors from the middle to the ends of an interval of 95 %."""


@dataclass(frozen=True)
class Estimate:
    """Mean reward an event, its standard error, and how many events it rests on in effect (Kish, 1965)."""

    value: float
    error: float
    effective: float

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, as of a normal distribution."""
        return self.value - WIDTH * self.error, self.value + WIDTH * self.error


def ips(rewards: np.ndarray, propensities: np.ndarray, targets: np.ndarray, most: float = np.inf) -> Estimate:
    """Inverse propensity scoring (Horvitz and Thompson, JASA 1952): each reward weighed by how much oftener.

    Unbiased where no weight is cut at ``most``; a cut trades noise for bias.
    """
    weights = _weights(rewards, propensities, targets, most)
    return _mean(weights * rewards, weights)


def snips(
    rewards: np.ndarray, propensities: np.ndarray, targets: np.ndarray, most: float = np.inf
) -> Estimate:
    """Self-normalized IPS (Swaminathan and Joachims, NIPS 2015): divided by the weights, not by n.

    Nearly unbiased with many events, less noisy, and never beyond the rewards seen. ValueError where no
    logged event is one that the policy would choose.
    """
    weights = _weights(rewards, propensities, targets, most)
    total = weights.sum()
    if not total:
        raise ValueError("none of what was logged would have been chosen")
    value = float((weights * rewards).sum() / total)
    error = float(np.sqrt((weights**2 * (rewards - value) ** 2).sum()) / total)
    return Estimate(value, error, _effective(weights))


def doubly_robust(
    rewards: np.ndarray,
    propensities: np.ndarray,
    targets: np.ndarray,
    expected: np.ndarray,
    promised: np.ndarray,
    most: float = np.inf,
) -> Estimate:
    """A model's promise, put right by IPS of what it missed (Dudík, Langford and Li, ICML 2011).

    ``expected`` (n,) are the model's rewards of what was shown, ``promised`` (n,) the mean of its rewards
    over what the policy in question would show. Unbiased if either the propensities or the model is right.
    """
    weights = _weights(rewards, propensities, targets, most)
    return _mean(promised + weights * (rewards - expected), weights)


def _weights(rewards: np.ndarray, propensities: np.ndarray, targets: np.ndarray, most: float) -> np.ndarray:
    if not len(rewards):
        raise ValueError("nothing was logged")
    if not ((propensities > 0) & (propensities <= 1)).all():
        raise ValueError("a propensity is above 0 and at most 1: what is logged had a chance")
    if not ((targets >= 0) & (targets <= 1)).all():
        raise ValueError("a target is a chance, from 0 to 1")
    return np.asarray(np.minimum(targets / propensities, most))


def _mean(values: np.ndarray, weights: np.ndarray) -> Estimate:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), error, _effective(weights))


def _effective(weights: np.ndarray) -> float:
    squares = float((weights**2).sum())
    return float(weights.sum() ** 2 / squares) if squares else 0.0
