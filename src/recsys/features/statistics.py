"""Statistics of items and users as they stood at a moment, never later: training and serving ask alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from numba import njit

from recsys.artifacts import read_arrays, write_arrays
from recsys.columns import VALUE, label, observed
from recsys.features.numeric import wilson
from recsys.features.values import FeatureError
from recsys.types import DAY, PAD, Engine, Interactions

By = Literal["item", "user"]
Sums = Callable[
    [np.ndarray, np.ndarray, Mapping[str, np.ndarray]], tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]
]
_LABEL, _SUM, _COUNT = "label:", "sum:", "count:"
_TIMES = "since_first", "since_last"


@dataclass(frozen=True)
class Statistics:
    """What was known of every item (or user) strictly before any moment.

    Interactions lie key after key, each key's in the order of time, with running sums beside them: a moment
    is a binary search, a sum of all before it a lookup.
    """

    by: By
    windows: tuple[int, ...]
    """Days of the recent counts."""
    offsets: np.ndarray
    """(n_keys + 1,) int64: key ``i`` has the rows ``[offsets[i], offsets[i + 1])``."""
    places: np.ndarray
    """(n,) int64, ascending: key * ``span`` + seconds since ``origin``, so that one search finds both."""
    origin: int
    span: int
    value_sums: np.ndarray
    """(n,) float32, each key's from its first row up to this one; so are those of ``label_sums``, by task."""
    label_sums: Mapping[str, np.ndarray]
    observed_sums: Mapping[str, np.ndarray]
    """The same of what is observed of items, where it was told, and of how often: ``observed_counts``.

    Both are float64, for means of a window are differences of them.
    """
    observed_counts: Mapping[str, np.ndarray]

    @classmethod
    def fit(
        cls,
        train: Interactions,
        by: By = "item",
        windows: Sequence[int] = (7, 30),
        engine: Engine = "local",
    ) -> Self:
        """Take in ``train``. Tasks whose labels are not all within [0, 1] have no rate and are left out."""
        if by not in get_args(By):
            raise FeatureError(f"statistics are by item or by user, not by {by!r}")
        keys, n_keys = (train.item_idx, train.n_items) if by == "item" else (train.user_idx, train.n_users)
        rates = {task: told for task, told in train.labels.items() if ((told >= 0) & (told <= 1)).all()}
        seen = train.observed if by == "item" else {}
        measures = {VALUE: train.value, **{label(task): rates[task] for task in sorted(rates)}}
        measures |= {observed(name): np.where(np.isfinite(told), told, 0) for name, told in seen.items()}
        measures |= {_COUNT + name: np.isfinite(told).astype(np.float32) for name, told in seen.items()}
        keys, timestamps, sums = _running_sums_of(engine)(keys, train.timestamp, measures)
        origin = int(train.timestamp.min()) if len(train) else 0
        # From the first interaction to just after the last.
        span = int(train.timestamp.max()) - origin + 2 if len(train) else 2
        return cls(
            by=by,
            windows=tuple(windows),
            offsets=np.concatenate([[0], np.bincount(keys, minlength=n_keys).cumsum()]),
            places=keys.astype(np.int64) * span + (timestamps - origin),
            origin=origin,
            span=span,
            value_sums=sums[VALUE].astype(np.float32),
            label_sums={task: sums[label(task)].astype(np.float32) for task in sorted(rates)},
            observed_sums={name: sums[observed(name)] for name in seen},
            observed_counts={name: sums[_COUNT + name] for name in seen},
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the statistics, in the order `at` gives them."""
        recent = (f"count_{days}d" for days in self.windows)
        rates = (f"{task}_rate" for task in self.label_sums)
        means = (
            f"{name}_{what}"
            for name in self.observed_sums
            for what in ("mean", *(f"mean_{days}d" for days in self.windows))
        )
        names = ("count", *recent, "value_mean", *rates, *means, *_TIMES)
        return tuple(f"{self.by}_{name}" for name in names)

    @property
    def log_names(self) -> frozenset[str]:
        """Names of counts and times, which grow without end."""
        counts = ("count", *(f"count_{days}d" for days in self.windows), *_TIMES)
        return frozenset(f"{self.by}_{name}" for name in counts)

    def at(self, keys: np.ndarray, moments: np.ndarray | int) -> dict[str, np.ndarray]:
        """Statistics of ``keys`` (n,) at ``moments`` (n,) or one for all, by name, each (n,) float32.

        Interactions of the moment's own second do not count. Rates are lower Wilson bounds, 0 without any
        interaction; times are seconds. The mean value and the times are NaN for a key without a past, and PAD
        has none; the mean of what is observed is NaN where it was not, ever or in the window.
        """
        keys, moments = np.broadcast_arrays(np.asarray(keys, np.int64), np.asarray(moments, np.int64))
        start = self.offsets[np.where(keys != PAD, keys, 0)]
        end = self._before(keys, moments)
        n = end - start
        begins = [self._before(keys, moments - days * DAY) for days in self.windows]
        recent = [end - begin for begin in begins]
        rates = [wilson(_last(sums, end, n), n) for sums in self.label_sums.values()]
        mean = _last(self.value_sums, end, n) / np.where(n, n, np.nan)
        times = [moments - self._moments(keys, rows, n) for rows in (start + 1, end)]
        told = [
            self._observed(name, each, start, end) for name in self.observed_sums for each in (start, *begins)
        ]
        columns = (n, *recent, mean, *rates, *told, *times)
        return {name: column.astype(np.float32) for name, column in zip(self.names, columns, strict=True)}

    def save(self, path: Path) -> None:
        """Write one ``.npz``."""
        write_arrays(
            path,
            {
                "by": np.array(self.by),
                "windows": np.array(self.windows, dtype=np.int64),
                "offsets": self.offsets,
                "places": self.places,
                "origin": np.array(self.origin),
                "span": np.array(self.span),
                "value_sums": self.value_sums,
                **{_LABEL + task: sums for task, sums in self.label_sums.items()},
                **{_SUM + name: sums for name, sums in self.observed_sums.items()},
                **{_COUNT + name: counts for name, counts in self.observed_counts.items()},
            },
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(path)
        labels, sums, counts = (_popped(arrays, prefix) for prefix in (_LABEL, _SUM, _COUNT))
        by: By = "item" if arrays.pop("by") == "item" else "user"
        return cls(
            by=by,
            windows=tuple(arrays.pop("windows").tolist()),
            origin=int(arrays.pop("origin")),
            span=int(arrays.pop("span")),
            label_sums=labels,
            observed_sums=sums,
            observed_counts=counts,
            **arrays,
        )

    def _observed(self, name: str, begin: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Mean of what was observed in the rows from ``begin`` to ``end`` of keys that start at ``start``."""
        sums, counts = (
            _last(each, end, end - start) - _last(each, begin, begin - start)
            for each in (self.observed_sums[name], self.observed_counts[name])
        )
        return np.asarray(sums / np.where(counts > 0, counts, np.nan))

    def _before(self, keys: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Row after the last one of each key that lies strictly before its moment; PAD's is 0."""
        seconds = np.clip(moments - self.origin, 0, self.span - 1)
        rows: np.ndarray = _before(self.offsets, self.places, keys, seconds, self.span)
        return rows

    def _moments(self, keys: np.ndarray, rows: np.ndarray, n: np.ndarray) -> np.ndarray:
        """When what stands just before ``rows`` was, NaN for keys without a past."""
        return np.where(n > 0, _last(self.places, rows, n) - keys * self.span + self.origin, np.nan)


def _running_sums_of(engine: Engine) -> Sums:
    """Keys and timestamps, key after key, and of each measure the sums from the key's first row on."""
    if engine == "spark":
        from recsys.features.statistics_on_spark import running_sums

        return running_sums
    return _running_sums


def _running_sums(
    keys: np.ndarray, timestamps: np.ndarray, measures: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.searchsorted(keys, keys)
    sums = {}
    for name, measure in measures.items():
        total = np.concatenate([[0.0], np.cumsum(measure[order], dtype=np.float64)])
        sums[name] = total[1:] - total[first]
    return keys, timestamps[order], sums


@njit(nogil=True, cache=True)
def _before(offsets, places, keys, seconds, span):  # type: ignore[no-untyped-def]
    """A binary search in each key's own rows: those of all are far more, and far apart."""
    rows = np.zeros(len(keys), dtype=np.int64)
    for at, key in enumerate(keys):
        if key != PAD:
            begin, end = offsets[key], offsets[key + 1]
            rows[at] = begin + np.searchsorted(places[begin:end], key * span + seconds[at])
    return rows


def _popped(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """What is called ``prefix`` and a name, by that name."""
    names = [name for name in arrays if name.startswith(prefix)]
    return {name.removeprefix(prefix): arrays.pop(name) for name in names}


def _last(values: np.ndarray, rows: np.ndarray, n: np.ndarray) -> np.ndarray:
    """What ``values`` hold just before ``rows``, 0 where there is nothing (``n`` is 0)."""
    if not len(values):
        return np.zeros(len(n))
    inside = n > 0
    return np.where(inside, values[np.where(inside, rows - 1, 0)], 0)
