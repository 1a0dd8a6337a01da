"""Platt scaling, request by request: from a task's logit to a probability that means what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from scipy.special import expit

LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Platt:
    """``sigmoid(slope * logit - level * its request's level + intercept)``, after Platt (1999).

    The slope is positive, so the order within a request stays. A loss that only orders leaves it to chance
    how high a request's logits lie (see `levels`): what of it means nothing is taken off.
    """

    slope: float = 1.0
    level: float = 0.0
    intercept: float = 0.0

    @classmethod
    def fit(cls, logits: np.ndarray, levels: np.ndarray, labels: np.ndarray) -> Self:
        """Fit on ``logits``, their requests' ``levels`` and ``labels`` in [0, 1], (n,) each.

        Without any, logits stay as they are. A level is taken off or left, never added: on requests that were
        learned from it seems to tell more than it does. Labels are drawn in a little, as Platt says: with one
        class alone the fit stays finite.
        """
        from scipy.optimize import minimize  # here, because serving never fits

        if not len(logits):
            return cls()
        x, its, positive = logits.astype(np.float64), levels.astype(np.float64), float(labels.sum())
        low, high = 1 / (len(labels) - positive + 2), (positive + 1) / (positive + 2)
        target = low + (high - low) * labels

        def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            z = parameters[0] * x - parameters[1] * its + parameters[2]
            error = expit(z) - target
            value = (np.logaddexp(0, z) - target * z).mean()
            return float(value), np.array([(error * x).mean(), -(error * its).mean(), error.mean()])

        found = minimize(
            loss,
            np.array([1.0, 0.0, 0.0]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST_SLOPE, None), (0, None), (None, None)],
        )
        return cls(*(float(each) for each in found.x))

    def __call__(self, logits: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Probabilities of ``logits`` (n, k) of requests with ``levels`` (n,), float32."""
        shift = np.float32(self.intercept) - np.float32(self.level) * levels
        scaled = np.float32(self.slope) * logits + shift[:, None]
        return np.asarray(expit(scaled.astype(np.float32)))


@njit(nogil=True, cache=True)
def levels(logits, inside):  # type: ignore[no-untyped-def]
    """Log of the mean exponential of each request's ``logits`` (n, k), 0 where none is ``inside``: (n,)."""
    found = np.zeros(len(logits), dtype=np.float32)
    for row in range(len(logits)):
        highest, total, n = np.float32(-np.inf), np.float32(0), 0
        for place in range(logits.shape[1]):
            if inside[row, place]:
                highest = max(highest, logits[row, place])
                n += 1
        for place in range(logits.shape[1]):
            if inside[row, place]:
                total += np.exp(logits[row, place] - highest)
        if n:
            found[row] = highest + np.log(total / np.float32(n))
    return found
