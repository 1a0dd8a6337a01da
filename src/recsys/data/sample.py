"""Sampled mode: a seeded fraction of users with their whole histories; every item stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from recsys.columns import USER_ID, USER_IDX
from recsys.data.clean import Tables
from recsys.data.draw import draw
from recsys.data.report import DataError


def sample_users(tables: Tables, fraction: float, seed: int) -> Tables:
    """``fraction`` of the users, at least one, drawn by id: a smaller sample is part of a larger one.

    DataError unless 0 < fraction <= 1.
    """
    if not 0 < fraction <= 1:
        raise DataError(f"sample must be over 0 and at most 1, but is {fraction:g}")
    n = max(1, round(fraction * len(tables.users)))
    chosen = np.zeros(len(tables.users), dtype=bool)
    chosen[np.argsort(draw(pd.Index(tables.users[USER_ID]), seed), kind="stable")[:n]] = True
    events = tables.events[chosen[tables.events[USER_IDX]]].reset_index(drop=True)
    renumbered = (chosen.cumsum() - 1).astype(np.int32)
    events[USER_IDX] = renumbered[events[USER_IDX]]
    return replace(tables, users=tables.users[chosen].reset_index(drop=True), events=events)
