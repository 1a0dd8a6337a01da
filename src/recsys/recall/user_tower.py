"""The user tower in numpy: what users' vectors take, and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit
from scipy.special import softmax

from recsys.features.history import DAY_LOG, HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE, YEAR_LOG
from recsys.features.spec import FeatureSpec
from recsys.inference import PADDING, Arrays, GroupedEmbedding, Weights, layers, mlp, row_by_row, within
from recsys.types import DAY

if TYPE_CHECKING:
    from recsys.nn.pooling import Kind

TINY = 1e-12


@dataclass(frozen=True)
class HistoryWeights:
    """What `recsys.nn.pooling.HistoryPooling` gives to each place; ``ids`` is the table of item ids."""

    kind: Kind
    ids: np.ndarray
    pooling: Weights

    def __call__(self, inputs: Arrays) -> np.ndarray:
        """Of each head, (n, length, heads) float32, adding up to 1 over a history."""
        ids = inputs[HISTORY_IDS]
        weights = self._attention(ids)
        if self.kind != "mean":
            told, recency = self.pooling["told.weight"], self.pooling["recency"]
            _tell(inputs[HISTORY_AGE], inputs[HISTORY_VALUE], told, recency, weights)
        if self.kind == "self_attention":
            return self._seen(ids, weights)
        _softmax(ids, weights)
        return weights

    def _attention(self, ids: np.ndarray) -> np.ndarray:
        """Logits (n, length, heads) of the items themselves: a product a row, so a row is as alone."""
        if self.kind != "attention":
            heads = 1 if self.kind == "mean" else self.pooling["recency"].shape[1]
            return np.zeros((*ids.shape, heads), dtype=np.float32)
        hidden = np.tanh(self.ids[ids] @ self.pooling["hidden.weight"].T + self.pooling["hidden.bias"])
        return np.asarray(hidden @ self.pooling["query.weight"].T)

    def _seen(self, ids: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """How much the items look at each place: products a row and head, so a row is as alone."""
        inside, heads = ids != PADDING, logits.shape[2]
        shape = (*ids.shape, heads, -1)
        keys, queries = (
            (self.ids[ids] @ self.pooling[f"{name}.weight"].T).reshape(shape).transpose(0, 2, 1, 3)
            for name in ("key", "query")
        )
        pairs = queries @ keys.transpose(0, 1, 3, 2) / np.float32(keys.shape[3] ** 0.5)
        pairs += np.where(inside[:, :, None], logits, -np.inf).transpose(0, 2, 1)[:, :, None]
        seen = softmax(np.where(inside.any(axis=1)[:, None, None, None], pairs, 0), axis=3)
        mean = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1).astype(np.float32)
        weights = (mean[:, None, None] @ seen)[:, :, 0].transpose(0, 2, 1) * inside[:, :, None]
        return np.ascontiguousarray(weights, dtype=np.float32)


@dataclass(frozen=True)
class UserTower:
    """`recsys.nn.towers.UserTower`."""

    history_weights: HistoryWeights
    attributes: GroupedEmbedding | None
    linear: np.ndarray
    layers: Sequence[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, weights: Weights, kind: Kind, spec: FeatureSpec) -> Self:
        """Take the tower's ``weights`` apart; ``spec`` has the columns of users and requests."""
        return cls(
            history_weights=HistoryWeights(kind, weights["ids.weight"], within(weights, "pooling")),
            attributes=GroupedEmbedding(spec, within(weights, "attributes")) if spec.columns else None,
            linear=np.ascontiguousarray(weights["linear.weight"].T),
            layers=layers(within(weights, "layers")),
        )

    def vectors(self, inputs: Arrays) -> np.ndarray:
        """Unit vectors (n, d) float32 from what `TowerInputs.of_requests` gave."""
        x = pooled(inputs, self.history_weights(inputs), self.history_weights.ids, len(self.linear))
        if self.attributes is not None:
            told = self.attributes(inputs)
            x[:, -told.shape[1] :] = told
        return unit(row_by_row(x, self.linear) + mlp(x, self.layers))


def pooled(inputs: Arrays, weights: np.ndarray, table: np.ndarray, width: int) -> np.ndarray:
    """Sum the history's vectors of ``table`` by ``weights`` (n, length, heads), head beside head.

    Then how long ago the newest was, then zeros: (n, width) float32.
    """
    x = np.zeros((len(weights), width), dtype=np.float32)
    _pool(inputs[HISTORY_IDS], inputs[HISTORY_AGE], weights, table, x)
    return x


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) at length 1, as torch's ``normalize`` makes them; zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), TINY))


@njit(nogil=True, cache=True)
def _elapsed(age):  # type: ignore[no-untyped-def]
    """`recsys.nn.pooling.elapsed`."""
    seconds = np.log1p(np.expm1(age) * np.float32(DAY))
    return age / np.float32(YEAR_LOG), seconds / np.float32(YEAR_LOG + DAY_LOG)


@njit(nogil=True, cache=True)
def _tell(ages, values, told, recency, logits):  # type: ignore[no-untyped-def]
    """Add what age, value and place say."""
    n, length, heads = logits.shape
    for row in range(n):
        for place in range(length):
            days, seconds = _elapsed(ages[row, place])
            for head in range(heads):
                by_time = told[head, 0] * days + told[head, 1] * seconds
                logits[row, place, head] += (
                    by_time + told[head, 2] * values[row, place] + recency[place, head]
                )


@njit(nogil=True, cache=True)
def _softmax(ids, weights):  # type: ignore[no-untyped-def]
    """Logits to weights, over the places that are no padding."""
    n, length, heads = weights.shape
    for row in range(n):
        for head in range(heads):
            highest, total = np.float32(-np.inf), np.float32(0)
            for place in range(length):
                if ids[row, place] != PADDING:
                    highest = max(highest, weights[row, place, head])
            for place in range(length):
                inside = ids[row, place] != PADDING
                weight = np.exp(weights[row, place, head] - highest) if inside else np.float32(0)
                weights[row, place, head] = weight
                total += weight
            for place in range(length):
                weights[row, place, head] /= total if total > 0 else np.float32(1)


@njit(nogil=True, cache=True)
def _pool(ids, ages, weights, table, x):  # type: ignore[no-untyped-def]
    """Write each head's sum of the items' vectors, then how long ago the newest was."""
    n, length, heads = weights.shape
    d = table.shape[1]
    for row in range(n):
        for place in range(length):
            if ids[row, place] != PADDING:
                vector = table[ids[row, place]]
                for head in range(heads):
                    for column in range(d):
                        x[row, head * d + column] += weights[row, place, head] * vector[column]
        x[row, heads * d], x[row, heads * d + 1] = _elapsed(ages[row, 0])
