"""Platt scaling: from a task's logit to a probability that means what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

LEAST_SLOPE = 1e-3


@dataclass(frozen=True)
class Platt:
    """``sigmoid(slope * logit + intercept)``; the slope is positive, so an order stays (Platt 1999)."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def fit(cls, logits: np.ndarray, labels: np.ndarray) -> Self:
        """Fit on ``logits`` (n,) and ``labels`` (n,) in [0, 1]; without any, logits stay as they are.

        Labels are drawn in a little, as Platt says: with one class alone the fit stays finite.
        """
        from scipy.optimize import minimize  # here, because serving never fits

        if not len(logits):
            return cls()
        x, positive = logits.astype(np.float64), float(labels.sum())
        low, high = 1 / (len(labels) - positive + 2), (positive + 1) / (positive + 2)
        target = low + (high - low) * labels

        def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            z = parameters[0] * x + parameters[1]
            error = expit(z) - target
            value = (np.logaddexp(0, z) - target * z).mean()
            return float(value), np.array([(error * x).mean(), error.mean()])

        found = minimize(
            loss,
            np.array([1.0, 0.0]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST_SLOPE, None), (None, None)],
        )
        return cls(*(float(each) for each in found.x))

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities of ``logits``, float32."""
        scaled = np.float32(self.slope) * logits + np.float32(self.intercept)
        return np.asarray(expit(scaled.astype(np.float32)))
