"""Seeded interactions whose users and items both follow power laws."""

from __future__ import annotations

import numpy as np

from recsys.types import DAY, Interactions


def power_law(n_users: int, n_items: int, n_interactions: int, seed: int) -> Interactions:
    """``n_interactions`` distinct user-item pairs over a year.

    Activity is Pareto (shape 2), popularity Zipf-Mandelbrot (exponent 1, offset 100): a few users
    with thousands of items, a few items with tens of thousands of users.
    """
    rng = np.random.default_rng(seed)
    activity = np.minimum(rng.pareto(2.0, n_users) + 1, 150)
    popularity = 1 / (np.arange(n_items) + 100)
    # Items' row numbers say nothing of their popularity.
    popularity = rng.permutation(popularity)
    keys = np.empty(0, dtype=np.int64)
    while len(keys) < n_interactions:
        missing = int((n_interactions - len(keys)) * 1.3) + 1
        users = _draw(activity, missing, rng)
        items = _draw(popularity, missing, rng)
        keys = np.unique(np.concatenate([keys, users * n_items + items]))
    keys = rng.permutation(keys)[:n_interactions]
    return Interactions(
        user_idx=(keys // n_items).astype(np.int32),
        item_idx=(keys % n_items).astype(np.int32),
        timestamp=np.sort(rng.integers(0, 365 * DAY, n_interactions)),
        value=np.ones(n_interactions, dtype=np.float32),
        labels={},
        n_users=n_users,
        n_items=n_items,
    )


def _draw(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    bounds = np.cumsum(weights)
    return np.minimum(np.searchsorted(bounds, rng.random(n) * bounds[-1]), len(weights) - 1)
