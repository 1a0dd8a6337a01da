"""The user tower in numpy: what one request's user vector takes, and no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit

from recsys.features.history import DAY_LOG, HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE, YEAR_LOG
from recsys.features.spec import FeatureSpec
from recsys.inference import PADDING, Arrays, GroupedEmbedding, Weights, layers, mlp, within
from recsys.types import DAY

if TYPE_CHECKING:
    from recsys.nn.pooling import Kind

TINY = 1e-12


@dataclass(frozen=True)
class UserTower:
    """`recsys.nn.towers.UserTower` and its `recsys.nn.pooling.HistoryPooling`, a row at a time.

    ``rows`` are those of what `TowerInputs.of_requests` gave.
    """

    kind: Kind
    ids: np.ndarray
    pooling: Weights
    attributes: GroupedEmbedding | None
    linear: np.ndarray
    layers: Sequence[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, weights: Weights, kind: Kind, spec: FeatureSpec) -> Self:
        """Take the tower's ``weights`` apart; ``spec`` has the columns of users and requests."""
        return cls(
            kind=kind,
            ids=weights["ids.weight"],
            pooling=within(weights, "pooling"),
            attributes=GroupedEmbedding(spec, within(weights, "attributes")) if spec.columns else None,
            linear=np.ascontiguousarray(weights["linear.weight"].T),
            layers=layers(within(weights, "layers")),
        )

    def vector(self, inputs: Arrays, row: int) -> np.ndarray:
        """Unit vector (d,) float32."""
        one, elapsed = slice(row, row + 1), _elapsed(inputs[HISTORY_AGE][row])
        pooled = self._weights(inputs, row, elapsed).T @ self.ids[inputs[HISTORY_IDS][row]]
        parts = [pooled.reshape(1, -1), elapsed[:1]]
        if self.attributes is not None:
            parts.append(self.attributes({name: values[one] for name, values in inputs.items()}))
        x = np.concatenate(parts, axis=1)
        vector = (x @ self.linear + mlp(x, self.layers))[0]
        return np.asarray(vector / max(math.sqrt(vector @ vector), TINY))

    def history_weights(self, inputs: Arrays, row: int) -> np.ndarray:
        """What each head gives to each place, (length, heads) float32, adding up to 1 over a history."""
        return self._weights(inputs, row, _elapsed(inputs[HISTORY_AGE][row]))

    def _weights(self, inputs: Arrays, row: int, elapsed: np.ndarray) -> np.ndarray:
        logits = self._logits(inputs, row, elapsed)
        weights = np.zeros(logits.shape, dtype=np.float32)
        _softmax(inputs[HISTORY_IDS][row], logits, weights)
        return weights

    def _logits(self, inputs: Arrays, row: int, elapsed: np.ndarray) -> np.ndarray:
        if self.kind == "mean":
            return np.zeros((len(elapsed), 1), dtype=np.float32)
        told = np.concatenate([elapsed, inputs[HISTORY_VALUE][row, :, None]], axis=1)
        logits = told @ self.pooling["told.weight"].T + self.pooling["recency"]
        if self.kind == "attention":
            items = self.ids[inputs[HISTORY_IDS][row]]
            hidden = np.tanh(items @ self.pooling["hidden.weight"].T + self.pooling["hidden.bias"])
            logits += hidden @ self.pooling["query.weight"].T
        return logits


@njit(nogil=True, cache=True)
def _softmax(ids, logits, weights):  # type: ignore[no-untyped-def]
    """Over the places that are no padding."""
    for head in range(logits.shape[1]):
        highest, total = np.float32(-np.inf), np.float32(0)
        for place in range(len(ids)):
            if ids[place] != PADDING:
                highest = max(highest, logits[place, head])
        for place in range(len(ids)):
            if ids[place] != PADDING:
                weights[place, head] = np.exp(logits[place, head] - highest)
                total += weights[place, head]
        if total > 0:
            weights[:, head] /= total


def _elapsed(ages: np.ndarray) -> np.ndarray:
    """`recsys.nn.pooling.elapsed`."""
    seconds = np.log1p(np.expm1(ages) * np.float32(DAY))
    days, both = np.float32(YEAR_LOG), np.float32(YEAR_LOG + DAY_LOG)
    return np.stack([ages / days, seconds / both], axis=-1)
