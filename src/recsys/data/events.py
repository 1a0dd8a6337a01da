"""What tells events from one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recsys import columns


def keys_of(events: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, items and moments: each event has its own."""
    users, items, moments = (
        events[name].to_numpy() for name in (columns.USER_IDX, columns.ITEM_IDX, columns.TIMESTAMP)
    )
    return users, items, moments


def repeated_in(keys: Sequence[np.ndarray], good: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Which ``good`` rows have the keys of an earlier one; rows that come ``last`` are behind all others."""
    rows = np.flatnonzero(good)
    order = rows[np.lexsort([each[rows] for each in (last, *keys)])]
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for each in keys:
        ordered = each[order]
        same &= ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(good), dtype=bool)
    repeated[order[1:][same]] = True
    return repeated


def numbered(table: pd.Series, names: pd.Index, codes: np.ndarray) -> np.ndarray:
    """Row in ``table`` of each code (n,) int32."""
    return np.asarray(pd.Index(table).get_indexer(names)[codes].astype(np.int32))
