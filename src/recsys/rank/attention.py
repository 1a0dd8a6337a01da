"""`recsys.nn.attention` in numpy: items' queries and keys made once, the rest as a request comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from recsys.features.history import DAY_LOG, HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE, YEAR_LOG
from recsys.inference import Arrays, Weights, row_by_row
from recsys.types import DAY, PAD


@dataclass(frozen=True)
class TargetAttention:
    """``queries`` (heads, n_items, d) and ``keys`` (n_items, d) of items, the unknown's last.

    ``told`` (heads, 3) and ``recency`` (length, heads) weigh places; ``weight`` (heads * (d + 2), d) and
    ``bias`` (d,) are of the layer after it.
    """

    queries: np.ndarray
    keys: np.ndarray
    told: np.ndarray
    recency: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(cls, weights: Weights, items: np.ndarray) -> Self:
        """Take the ``weights`` apart; ``items`` (n_items, d_item) are embedded already."""
        keys = row_by_row(items, np.ascontiguousarray(weights["key.weight"].T))
        queries = weights["query.weight"].reshape(-1, keys.shape[1], items.shape[1])
        scale = np.float32(keys.shape[1] ** -0.5)
        return cls(
            queries=np.stack([row_by_row(items, np.ascontiguousarray(each.T)) * scale for each in queries]),
            keys=keys,
            told=weights["told.weight"],
            recency=weights["recency"],
            weight=np.ascontiguousarray(weights["out.weight"].T),
            bias=weights["out.bias"],
        )

    def __call__(self, candidates: np.ndarray, history: Arrays, row: int) -> np.ndarray:
        """What ``candidates`` (k,) hear of the history that stands in ``row``, (d, k)."""
        ids = history[HISTORY_IDS][row]
        n = int((ids != PAD).sum())
        values = history[HISTORY_VALUE][row, :n]
        told = np.empty((n, len(self.told)), dtype=np.float32)
        _tell(history[HISTORY_AGE][row, :n], values, self.told, self.recency, told)
        met = np.column_stack([self.keys[ids[:n]], values])
        heard = np.zeros((len(candidates), len(self.weight)), dtype=np.float32)
        if n:
            _attend(self.queries, candidates, met, told, heard)
        return np.ascontiguousarray((heard @ self.weight + self.bias).T)


@njit(nogil=True, cache=True)
def _tell(ages, values, told, recency, logits):  # type: ignore[no-untyped-def]
    """What age, rating and place say: (n, heads)."""
    for place in range(len(ages)):
        days = ages[place] / np.float32(YEAR_LOG)
        seconds = np.log1p(np.expm1(ages[place]) * np.float32(DAY)) / np.float32(YEAR_LOG + DAY_LOG)
        for head in range(len(told)):
            by_time = told[head, 0] * days + told[head, 1] * seconds
            logits[place, head] = by_time + told[head, 2] * values[place] + recency[place, head]


@njit(nogil=True, cache=True)
def _attend(queries, candidates, met, told, heard):  # type: ignore[no-untyped-def]
    """Write, head by head, the mean of ``met`` (n, d + 1) and the log of the weights' sum."""
    n, width = met.shape
    keys = np.ascontiguousarray(met[:, : width - 1].T)
    asked = np.empty((len(candidates), width - 1), dtype=np.float32)
    for head in range(len(queries)):
        for row in range(len(candidates)):
            asked[row] = queries[head, candidates[row]]
        weights = np.dot(asked, keys)
        start = head * (width + 1)
        for row in range(len(candidates)):
            highest, total = np.float32(-np.inf), np.float32(0)
            for place in range(n):
                weights[row, place] += told[place, head]
                highest = max(highest, weights[row, place])
            for place in range(n):
                weights[row, place] = np.exp(weights[row, place] - highest)
                total += weights[row, place]
            for place in range(n):
                weights[row, place] /= total
            heard[row, start + width] = highest + np.log(total)
        heard[:, start : start + width] = np.dot(weights, met)
