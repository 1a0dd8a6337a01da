"""Means over users with bootstrap intervals (Efron 1979), many at once on the same draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from recsys.columns import VALUE

DRAWS, LEVEL = 1000, 0.95
_DRAWS_AT_ONCE = 100  # bounds memory: a draw holds a weight for every user


def means(columns: Sequence[np.ndarray], seed: int) -> pd.DataFrame:
    """Mean over users of each column (n,), with its interval: value, low, high, n; NaN is left out.

    All columns see the same draws of users, so the interval of a difference's column is a paired one.
    """
    if not columns:
        return pd.DataFrame({VALUE: [], "low": [], "high": [], "n": []})
    table = np.stack(columns, axis=1)
    known = ~np.isnan(table)
    filled, counted = np.where(known, table, 0.0), known.astype(np.float64)
    drawn = [divide(weights @ filled, weights @ counted) for weights in _weights(len(table), seed)]
    low, high = _quantiles(np.concatenate(drawn))
    n = known.sum(axis=0)
    return pd.DataFrame({VALUE: divide(filled.sum(axis=0), n), "low": low, "high": high, "n": n})


def relative(values: np.ndarray, baseline: np.ndarray, seed: int) -> tuple[float, float, float]:
    """By which share the sum of ``values`` (n users,) differs from that of ``baseline``, low and high.

    Users are drawn, with all that is theirs in both.
    """
    drawn = np.concatenate([(each @ values) / (each @ baseline) - 1 for each in _weights(len(values), seed)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values.sum() / baseline.sum() - 1), float(low), float(high)


def _weights(n: int, seed: int) -> Iterator[np.ndarray]:
    """How often each of ``n`` users is drawn, (draws, n) float64, a block of draws at a time."""
    if not n:
        yield np.zeros((DRAWS, 0))
        return
    rng = np.random.default_rng(seed)
    for start in range(0, DRAWS, _DRAWS_AT_ONCE):
        draws = min(_DRAWS_AT_ONCE, DRAWS - start)
        cells = rng.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
        yield np.bincount(cells.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def _quantiles(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of each column; a draw that met none of a slice's users does not count."""
    ends = np.full((2, drawn.shape[1]), np.nan)
    some = ~np.isnan(drawn).all(axis=0)
    if some.any():
        ends[:, some] = np.nanquantile(drawn[:, some], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends[0], ends[1]


def divide(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """``total / count``, NaN where nothing was counted."""
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out
