"""What a data set is like: the tables behind the figures of its notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from recsys.columns import SPLIT, TIMESTAMP
from recsys.data.dataset import Dataset
from recsys.data.split import PARTS, FoldName
from recsys.types import DAY, Interactions

FOLDS: tuple[FoldName, ...] = ("late", "valid", "test")
GAPS: Mapping[str, float] = {
    "same second": 1,
    "within a minute": 60,
    "within an hour": 3600,
    "within a day": DAY,
    "within 30 days": 30 * DAY,
    "later": np.inf,
}
"""Name -> upper end in seconds, exclusive."""


def concentration(counts: np.ndarray) -> pd.DataFrame:
    """Share of all interactions that the most met have (a Lorenz curve, the largest first).

    ``counts`` (n,) is each one's interactions; ``share`` of the n and ``interactions`` of the sum, from
    0 to 1, in n + 1 rows.
    """
    total = max(counts.sum(), 1)
    largest_first = np.sort(counts)[::-1].cumsum() / total
    share = np.linspace(0, 1, len(counts) + 1)
    return pd.DataFrame({"share": share, "interactions": np.concatenate([[0.0], largest_first])})


def seconds_since_previous(interactions: Interactions) -> np.ndarray:
    """Seconds from the same user's previous interaction, (n,) float64; NaN for a user's first."""
    times = interactions.timestamp[interactions.by_user].astype(np.float64)
    first = interactions.offsets[:-1][np.diff(interactions.offsets) > 0]
    gaps = np.diff(times, prepend=np.nan)
    gaps[first] = np.nan
    in_time = np.empty(len(interactions))
    in_time[interactions.by_user] = gaps
    return in_time


def gap_shares(interactions: Interactions) -> pd.Series:
    """Share of interactions by the time since the same user's previous one; first ones do not count."""
    gaps = seconds_since_previous(interactions)
    gaps = gaps[~np.isnan(gaps)]
    kinds = np.searchsorted(np.array(list(GAPS.values())), gaps, side="right")
    counted = np.bincount(kinds, minlength=len(GAPS))
    return pd.Series(counted / max(len(gaps), 1), index=pd.Index(GAPS, name="since the previous"))


def parts_over_time(dataset: Dataset, split: str, days: float = 14) -> pd.DataFrame:
    """Interactions of each part of a split, one row for every ``days`` days (index: where they begin)."""
    met = dataset.interactions
    parts = dataset.splits[split].parts(met)
    width = int(days * DAY)
    begins = pd.Series(pd.to_datetime(met.timestamp // width * width, unit="s"), name=TIMESTAMP)
    counted = pd.crosstab(begins, pd.Series(np.array(PARTS)[parts], name="part"))
    return counted.reindex(columns=list(PARTS), fill_value=0)


def by_attribute(dataset: Dataset, entity: Literal["user", "item"], name: str) -> pd.DataFrame:
    """One row a value of an attribute: entities, interactions, median interactions of one, mean value.

    An entity with several labels counts in each; one without any in none.
    """
    table, rows = (
        (dataset.users, dataset.events.user_idx)
        if entity == "user"
        else (dataset.items, dataset.events.item_idx)
    )
    n = np.bincount(rows, minlength=len(table))
    values = np.bincount(rows, weights=dataset.events.value, minlength=len(table))
    each = pd.DataFrame({name: table[name], "n": n, "values": values}).explode(name).dropna(subset=[name])
    grouped = each.groupby(name)
    found = pd.DataFrame(
        {
            "entities": grouped.size(),
            "interactions": grouped["n"].sum(),
            "median": grouped["n"].median(),
        }
    )
    return found.assign(
        mean_value=grouped["values"].sum() / found["interactions"].where(found.interactions > 0)
    )


def fold_counts(dataset: Dataset) -> pd.DataFrame:
    """One row a fold of each split.

    Rows of ``past`` and ``future``; users who ask, ``hot`` or ``cold`` (no past); ``new_items`` is the share
    of the future's rows whose item has no past, ``tied`` the share of hot users who go on in the very second
    of their last.
    """
    return pd.DataFrame([_fold(dataset, split, fold) for split in dataset.splits for fold in FOLDS])


def _fold(dataset: Dataset, split: str, name: FoldName) -> dict[str, Any]:
    fold = dataset.fold(split, name)
    met = np.bincount(fold.past.item_idx, minlength=fold.past.n_items) > 0
    return {
        SPLIT: split,
        "fold": name,
        "past": len(fold.past),
        "future": len(fold.future),
        "hot": int(fold.hot.sum()),
        "cold": int((~fold.hot).sum()),
        "new_items": float(1 - met[fold.future.item_idx].mean()),
        "tied": float(fold.tied[fold.hot].mean()) if fold.hot.any() else 0.0,
    }
