"""What a data set is like: the tables behind the figures of its notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd

from recsys.columns import SPLIT, TIMESTAMP
from recsys.data.attributes import Attribute
from recsys.data.dataset import Dataset
from recsys.data.split import PARTS, FoldName
from recsys.types import DAY, Interactions

GAPS: Mapping[str, float] = {
    "same second": 1,
    "within a minute": 60,
    "within an hour": 3600,
    "within a day": DAY,
    "within 30 days": 30 * DAY,
    "later": np.inf,
}
"""Name -> upper end in seconds, exclusive."""


def seconds_since_previous(interactions: Interactions) -> np.ndarray:
    """Seconds from the same user's previous interaction, (n,) float64; NaN for a user's first."""
    times = interactions.timestamp[interactions.by_user].astype(np.float64)
    first = interactions.offsets[:-1][interactions.user_counts > 0]
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


def by_category(dataset: Dataset) -> pd.DataFrame:
    """One row a category of items, the most met first: items, share_of_interactions, mean_value.

    An item of several categories counts in each, so shares may add up to more than 1. Empty where the data
    set names no category.
    """
    category = dataset.spec.category
    if category is None:
        return pd.DataFrame({"items": [], "share_of_interactions": [], "mean_value": []})
    rows, n_items = dataset.events.item_idx, len(dataset.items)
    met = np.bincount(rows, minlength=n_items)
    values = np.bincount(rows, weights=dataset.events.value, minlength=n_items)
    labels = pd.DataFrame({category: dataset.items[category], "met": met, "values": values})
    grouped = labels.explode(category).groupby(category)
    total = grouped["met"].sum()
    found = {
        "items": grouped.size(),
        "share_of_interactions": total / max(len(rows), 1),
        "mean_value": grouped["values"].sum() / total.where(total > 0),
    }
    return pd.DataFrame(found).sort_values("share_of_interactions", ascending=False, kind="stable")


def activity_by_segment(dataset: Dataset, most: int = 10) -> dict[str, dict[str, np.ndarray]]:
    """Interactions of each user: attribute -> value -> (users of that value,), values in their order.

    Attributes of numbers, of labels, and of one or more than ``most`` values are left out.
    """
    met = dataset.interactions.user_counts
    segments = {}
    for attribute in dataset.spec.attributes("user"):
        values = dataset.users[attribute.name]
        if isinstance(attribute, Attribute) and attribute.kind == "category" and 1 < values.nunique() <= most:
            by_value = values.groupby(values).indices
            segments[attribute.name] = {str(name): met[rows] for name, rows in sorted(by_value.items())}
    return segments


def fold_counts(dataset: Dataset) -> pd.DataFrame:
    """One row a fold of each split.

    Rows of ``past`` and ``future``; users who ask, ``hot`` or ``cold`` (no past); ``new_items`` is the share
    of the future's rows whose item has no past, ``tied`` the share of hot users who go on in the very second
    of their last.
    """
    return pd.DataFrame(
        [_fold(dataset, split, fold) for split in dataset.splits for fold in get_args(FoldName)]
    )


def _fold(dataset: Dataset, split: str, name: FoldName) -> dict[str, Any]:
    fold = dataset.fold(split, name)
    met = fold.past.item_counts > 0
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
