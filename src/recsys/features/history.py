"""The last items of a user as arrays that towers pool, with their age and rating as weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numba import njit

from recsys.types import DAY, PAD, Histories, Interactions, filled

YEAR_LOG, DAY_LOG = math.log(365), math.log(DAY)
"""Logs of a year in days and of a day in seconds: what scales ages to about 1."""
HISTORY_IDS = "history_ids"
HISTORY_AGE = "history_age"
HISTORY_VALUE = "history_value"


@dataclass(frozen=True)
class HistoryEncoder:
    """Encodes the last ``length`` interactions; ``low`` and ``high`` bound the values seen in training."""

    length: int
    low: float
    high: float

    @classmethod
    def fit(cls, train: Interactions, length: int = 50) -> Self:
        """Learn the range of values."""
        return cls.of_values(train.value, length)

    @classmethod
    def of_values(cls, values: np.ndarray, length: int) -> Self:
        """Learn the range of ``values`` (n,)."""
        # Percentiles 1 and 99: one absurd watch time must not flatten the rest.
        low, high = np.quantile(values, [0.01, 0.99]).tolist() if len(values) else (0.0, 0.0)
        return cls(length, low, high)

    def encode(self, histories: Histories, now: np.ndarray) -> dict[str, np.ndarray]:
        """Encode histories (n rows) at ``now`` (n,) int64 seconds, newest first, each array (n, length).

        ``history_ids`` int64 item row numbers, PAD where there is nothing; ``history_age`` float32,
        log(1 + days) since; ``history_value`` float32 in [0, 1], all 1 if training knew one value only.
        Both are 0 on padding; whoever is cold has padding only.
        """
        shape = (len(histories), self.length)
        ids, ages = filled(shape, PAD, np.int64), np.zeros(shape, dtype=np.float32)
        weights = np.zeros(shape, dtype=np.float32)
        past = histories.items, histories.timestamps, histories.values, histories.starts, histories.ends
        _encode(*past, np.asarray(now), self.low, self.high, ids, ages, weights)
        return {HISTORY_IDS: ids, HISTORY_AGE: ages, HISTORY_VALUE: weights}

    def to_json(self) -> dict[str, Any]:
        """JSON-able content."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Restore what `to_json` gave."""
        return cls(**content)


@njit(nogil=True, cache=True)
def _encode(items, timestamps, values, starts, ends, now, low, high, ids, ages, weights):  # type: ignore[no-untyped-def]
    for row in range(len(starts)):
        for place in range(min(ids.shape[1], ends[row] - starts[row])):
            at = ends[row] - 1 - place
            ids[row, place] = items[at]
            ages[row, place] = np.log1p(max(now[row] - timestamps[at], 0) / DAY)
            weights[row, place] = min(max((values[at] - low) / (high - low), 0), 1) if high > low else 1
