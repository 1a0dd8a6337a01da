"""The user tower in numpy: what one request's user vector takes, and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from recsys.features.history import DAY_LOG, HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE, YEAR_LOG
from recsys.features.spec import FeatureSpec
from recsys.inference import PADDING, Arrays, GroupedEmbedding, Weights, layers, mlp, within
from recsys.types import DAY

if TYPE_CHECKING:
    from recsys.nn.pooling import Kind

TINY = np.float32(1e-12)


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
        one = slice(row, row + 1)
        pooled = self.history_weights(inputs, row).T @ self.ids[inputs[HISTORY_IDS][row]]
        parts = [pooled.reshape(1, -1), _elapsed(inputs[HISTORY_AGE][one, 0])]
        if self.attributes is not None:
            parts.append(self.attributes({name: values[one] for name, values in inputs.items()}))
        x = np.concatenate(parts, axis=1)
        vector = (x @ self.linear + mlp(x, self.layers))[0]
        return np.asarray(vector / np.maximum(np.sqrt(vector @ vector), TINY))

    def history_weights(self, inputs: Arrays, row: int) -> np.ndarray:
        """What each head gives to each place, (length, heads) float32, adding up to 1 over a history."""
        inside = (inputs[HISTORY_IDS][row] != PADDING)[:, None]
        logits = np.where(inside, self._logits(inputs, row), -np.inf)
        weights = np.exp(logits - logits.max(axis=0, initial=-1e9)) * inside
        return np.asarray(weights / np.maximum(weights.sum(axis=0), TINY), dtype=np.float32)

    def _logits(self, inputs: Arrays, row: int) -> np.ndarray:
        ages, values = inputs[HISTORY_AGE][row], inputs[HISTORY_VALUE][row]
        if self.kind == "mean":
            return np.zeros((len(ages), 1), dtype=np.float32)
        told = np.concatenate([_elapsed(ages), values[:, None]], axis=1) @ self.pooling["told.weight"].T
        if self.kind == "attention":
            items = self.ids[inputs[HISTORY_IDS][row]]
            hidden = np.tanh(items @ self.pooling["hidden.weight"].T + self.pooling["hidden.bias"])
            told = told + hidden @ self.pooling["query.weight"].T
        return np.asarray(self.pooling["recency"] + told)


def _elapsed(ages: np.ndarray) -> np.ndarray:
    """`recsys.nn.pooling.elapsed`."""
    seconds = np.log1p(np.expm1(ages) * np.float32(DAY))
    days, both = np.float32(YEAR_LOG), np.float32(YEAR_LOG + DAY_LOG)
    return np.stack([ages / days, seconds / both], axis=-1)
