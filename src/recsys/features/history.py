"""The last items of a user as arrays that towers pool, with their age and rating as weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from recsys.types import DAY, PAD, Histories, Interactions

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
        # Percentiles 1 and 99: one absurd watch time must not flatten the rest.
        low, high = np.quantile(train.value, [0.01, 0.99]).tolist() if len(train) else (0.0, 0.0)
        return cls(length, low, high)

    def encode(self, histories: Histories, now: np.ndarray) -> dict[str, np.ndarray]:
        """Encode histories (n rows) at ``now`` (n,) int64 seconds, newest first, each array (n, length).

        ``history_ids`` int64 item row numbers, PAD where there is nothing; ``history_age`` float32,
        log(1 + days) since; ``history_value`` float32 in [0, 1], all 1 if training knew one value only.
        Both are 0 on padding; whoever is cold has padding only.
        """
        items, timestamps, values = histories.last(self.length)
        inside = items != PAD
        days = np.maximum(np.asarray(now)[:, None] - timestamps, 0) / DAY
        return {
            HISTORY_IDS: items.astype(np.int64),
            HISTORY_AGE: np.where(inside, np.log1p(days), 0).astype(np.float32),
            HISTORY_VALUE: np.where(inside, self._weight(values), 0).astype(np.float32),
        }

    def to_json(self) -> dict[str, Any]:
        """JSON-able content."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Restore what `to_json` gave."""
        return cls(**content)

    def _weight(self, values: np.ndarray) -> np.ndarray:
        if self.high <= self.low:
            return np.ones_like(values)
        return np.clip((values - self.low) / (self.high - self.low), 0, 1)
