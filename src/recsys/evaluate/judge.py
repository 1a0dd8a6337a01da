"""`Judge`: lists of items against what their users did next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd

from recsys.columns import METRIC, SLICE, SYSTEM, VALUE
from recsys.data.dataset import Dataset
from recsys.data.split import Fold, FoldName
from recsys.evaluate.intervals import means
from recsys.evaluate.slices import slices
from recsys.metrics import (
    coverage,
    hit_rate_at_k,
    hits_of,
    intra_list_diversity,
    mrr_at_k,
    ndcg_at_k,
    novelty,
    recall_at_k,
    share_of,
)

ALL = "all"
"""The slice of every user."""


@dataclass(frozen=True)
class Judge:
    """What is needed to judge lists of ``users`` (n,), one a row, in the order of ``rows`` in ``fold.users``.

    ``relevant`` holds sorted keys ``user * n_items + item``, ``n_relevant`` (n,) how many are the user's;
    ``popularity`` (n_items,) counts the past; ``categories`` (n_items, d) is None where a data set has
    none; ``fresh`` and ``new`` (n_items,) mark items first met lately and never met; ``slices`` are masks
    (n,) by name. Lists are judged by their first ``k``, and by recall_at_k for each of ``ks``.
    """

    fold: Fold
    rows: np.ndarray
    relevant: np.ndarray
    n_relevant: np.ndarray
    popularity: np.ndarray
    categories: np.ndarray | None
    fresh: np.ndarray
    new: np.ndarray
    slices: Mapping[str, np.ndarray]
    k: int = 10
    ks: tuple[int, ...] = (10, 100, 300)

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        split: str,
        fold: FoldName,
        *,
        cold: bool = False,
        fresh_days: float = 30,
        k: int = 10,
        ks: Sequence[int] = (10, 100, 300),
    ) -> Self:
        """Judge the fold's hot users, or with ``cold`` those without a past.

        An item is fresh if it was first met in the last ``fresh_days`` of the past, or never. Where a data
        set says that seen items do not return, a user's old items are not relevant again.
        """
        moment = dataset.fold(split, fold)
        rows = np.flatnonzero(~moment.hot if cold else moment.hot)
        popularity = moment.past.item_counts
        relevant = relevant_keys(moment)
        n_relevant = np.bincount(relevant // moment.past.n_items, minlength=moment.past.n_users)
        return cls(
            fold=moment,
            rows=rows,
            relevant=relevant,
            n_relevant=n_relevant[moment.users[rows]],
            popularity=popularity,
            categories=_categories(dataset),
            fresh=moment.past.fresh(fresh_days),
            new=popularity == 0,
            slices=slices(dataset, moment, rows),
            k=k,
            ks=tuple(ks),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, n: int, seed: int) -> Self:
        """Judge only ``n`` of the users, drawn by ``seed``; all where there are no more."""
        drawn = np.sort(np.random.default_rng(seed).permutation(len(self))[:n])
        inside = {name: mask[drawn] for name, mask in self.slices.items()}
        return replace(self, rows=self.rows[drawn], n_relevant=self.n_relevant[drawn], slices=inside)

    def among(self, n: int, seed: int) -> Self:
        """Judge as if there were only ``n`` users, drawn by ``seed`` from the judged, then from the others.

        The past is theirs alone: what is tried on it costs no more, however many users there are. Which items
        are popular, fresh or new is still told by all.
        """
        past = self.fold.past
        if n >= past.n_users:
            return self
        judged = self.sample(n, seed)
        others = np.setdiff1d(np.arange(past.n_users), self.users)
        chosen = np.zeros(past.n_users, dtype=bool)
        chosen[judged.users] = True
        chosen[np.random.default_rng(seed).permutation(others)[: n - len(judged)]] = True
        return replace(judged, fold=replace(self.fold, past=past[chosen[past.user_idx]]))

    @property
    def users(self) -> np.ndarray:
        """Row numbers of the judged users, (n,) int64."""
        return np.asarray(self.fold.users[self.rows])

    @property
    def n_items(self) -> int:
        return self.fold.past.n_items

    def hits(self, items: np.ndarray) -> np.ndarray:
        """Which of ``items`` (n, width) are relevant; ValueError where there is not one row a judged user."""
        if len(items) != len(self):
            raise ValueError(f"{len(items)} lists for {len(self)} judged users")
        return hits_of(items, self.users, self.relevant, self.n_items)

    def per_user(self, items: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics of lists ``items`` (n, width), best first: (n,) float64 each, NaN where it says nothing.

        recall_at_k is given for those of ``ks`` that the lists are long enough for, new_item_recall_at_k
        is of the relevant items without a past.
        """
        hits, k, top = self.hits(items), self.k, items[:, : self.k]
        lengths = [length for length in self.ks if length <= items.shape[1]]
        found = {
            f"ndcg_at_{k}": ndcg_at_k(hits, self.n_relevant, k),
            f"hit_rate_at_{k}": hit_rate_at_k(hits, self.n_relevant, k),
            f"mrr_at_{k}": mrr_at_k(hits, self.n_relevant, k),
            **{f"recall_at_{length}": recall_at_k(hits, self.n_relevant, length) for length in lengths},
            f"novelty_at_{k}": novelty(top, self.popularity),
            f"fresh_share_at_{k}": share_of(top, self.fresh),
        }
        if self.categories is not None:
            found[f"diversity_at_{k}"] = intra_list_diversity(top, self.categories)
        if lengths:
            length, n_new = max(lengths), self._n_relevant_new()
            found[f"new_item_recall_at_{length}"] = recall_at_k(hits & self.new[items], n_new, length)
        return found

    def summary(self, systems: Mapping[str, np.ndarray], seed: int) -> pd.DataFrame:
        """Means over users: system, slice, metric, value, low, high, n (users that count).

        Slices other than ``all`` have ndcg and recall only; coverage, a figure of all lists, no interval.
        """
        labels: list[tuple[str, str, str]] = []
        values: list[np.ndarray] = []
        for system, items in systems.items():
            per_user = self.per_user(items)
            labels += [(system, ALL, metric) for metric in per_user]
            values += per_user.values()
            for name, inside in self.slices.items():
                for metric in self._sliced(per_user):
                    labels.append((system, name, metric))
                    values.append(np.where(inside, per_user[metric], np.nan))
        named = pd.DataFrame(labels, columns=[SYSTEM, SLICE, METRIC])
        rows = pd.concat([named, means(values, seed)], axis=1)
        covered = pd.DataFrame([self._coverage(system, items) for system, items in systems.items()])
        return pd.concat([rows, covered], ignore_index=True)

    def differences(
        self,
        systems: Mapping[str, np.ndarray],
        baseline: str,
        seed: int,
        metrics: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Mean paired difference to ``baseline``: system, metric, value, low, high, n, beats (low above 0).

        ``metrics`` are all that both systems have if not given. ValueError where one is missing.
        """
        if baseline not in systems:
            raise ValueError(f"no system is called {baseline!r}; there are {', '.join(systems)}")
        base = self.per_user(systems[baseline])
        labels, values = [], []
        for system, items in systems.items():
            if system == baseline:
                continue
            mine = self.per_user(items)
            for metric in metrics or [name for name in base if name in mine]:
                if metric not in base or metric not in mine:
                    raise ValueError(f"{metric} is not a metric of both {system} and {baseline}")
                labels.append((system, metric))
                values.append(mine[metric] - base[metric])
        rows = pd.concat([pd.DataFrame(labels, columns=[SYSTEM, METRIC]), means(values, seed)], axis=1)
        return rows.assign(beats=rows["low"] > 0)

    def _sliced(self, per_user: Mapping[str, np.ndarray]) -> list[str]:
        """Metrics worth a look in slices: the order at the top, and recall of the longest list up to 100."""
        recalls = [f"recall_at_{length}" for length in self.ks if length <= max(100, min(self.ks))]
        return [f"ndcg_at_{self.k}", *[name for name in recalls if name in per_user][-1:]]

    def _n_relevant_new(self) -> np.ndarray:
        keys = self.relevant[self.new[self.relevant % self.n_items]]
        return np.asarray(np.bincount(keys // self.n_items, minlength=self.fold.past.n_users)[self.users])

    def _coverage(self, system: str, items: np.ndarray) -> dict[str, Any]:
        value = coverage(items[:, : self.k], self.n_items)
        metric = f"coverage_at_{self.k}"
        return {SYSTEM: system, SLICE: ALL, METRIC: metric, VALUE: value, "n": len(items)}


def relevant_keys(fold: Fold) -> np.ndarray:
    """Sorted keys of what users met next, each once; what their past holds only where that may return."""
    keys = fold.future.pairs
    return np.unique(keys) if fold.past.seen_return else np.setdiff1d(keys, fold.past.pairs)


def _categories(dataset: Dataset) -> np.ndarray | None:
    """One column a category, 1 where an item has it; None where the data set names no category."""
    if dataset.spec.category is None:
        return None
    listed = dataset.items[dataset.spec.category].map(
        lambda value: value if isinstance(value, list) else [] if value is None else [value]
    )
    names, columns = np.unique([name for names in listed for name in names], return_inverse=True)
    table = np.zeros((len(listed), len(names)), dtype=np.float32)
    table[np.repeat(np.arange(len(listed)), listed.map(len)), columns] = 1
    return table
