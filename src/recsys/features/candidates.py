"""What the ranker knows of a candidate beside its attributes: how it was found, how it does, how it suits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit

from recsys.artifacts import read_arrays, write_arrays
from recsys.columns import ACTIVITY, TIMESTAMP
from recsys.features.spec import REQUEST, Column
from recsys.features.statistics import Statistics
from recsys.types import PAD, Engine, Interactions, MergedCandidates, Requests

if TYPE_CHECKING:
    import pandas as pd

CANDIDATE = "candidate"
CHANNEL, ITEM, AFFINITY = "channel", "item", "affinity"
"""Groups of what is told of a candidate: that of the item is the same for all requests of an hour."""
HOUR = 3_600
"""Seconds. Statistics are as of a full hour, so that one table serves all requests of the next."""
RECENT = 10
"""How many of a user's last interactions are recent."""
UNTOLD = 5
"""Items of a category at their user's mean value that are added to those met: a few tell little."""
MOST_ITEMS = 1 << 16
"""In a table of all items as of an hour; of a larger catalogue what is asked is looked up each time."""


@dataclass(frozen=True)
class CandidateFeatures:
    """Numbers of each request and of each of its candidates, as they stood at the request's moment.

    ``statistics`` of items; ``categories`` (n_items, c) float32 unit vectors; ``numbers`` (n_items, m)
    float32, the items' numeric attributes named ``number_names``, NaN where unknown.
    """

    statistics: Statistics
    categories: np.ndarray
    numbers: np.ndarray
    number_names: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        past: Interactions,
        items: pd.DataFrame,
        category: str | None,
        windows: Sequence[int],
        engine: Engine = "local",
    ) -> Self:
        """Take in ``past``; ``category`` names the items' multi-label attribute, None where there is none."""
        numeric = [str(name) for name in items.select_dtypes("float").columns]
        labels = items[category].map(_as_labels).tolist() if category else [[] for _ in range(len(items))]
        return cls(
            statistics=Statistics.fit(past, by="item", windows=windows, engine=engine),
            categories=_unit_vectors(labels),
            numbers=items[numeric].to_numpy(dtype=np.float32),
            number_names=tuple(numeric),
        )

    def columns(self, channels: Sequence[str]) -> list[Column]:
        """Features it makes, for `FeatureSpec.fit`: each in its standard and in its even spread."""
        groups = {
            CHANNEL: self._channel_names(channels),
            ITEM: self.known_names,
            AFFINITY: self._affinity_names(),
        }
        named = [(CANDIDATE, group, name) for group, names in groups.items() for name in names]
        named += [(REQUEST, "activity", name) for name in ACTIVITY]
        return [
            Column(f"{name}_{encoder}", encoder, entity, group, {"source": name})
            for entity, group, name in named
            for encoder in ("standard", "uniform")
        ]

    def found_names(self, channels: Sequence[str]) -> list[str]:
        """Names of what only a request tells of its candidates."""
        return [*self._channel_names(channels), *self._affinity_names()]

    @property
    def known_names(self) -> list[str]:
        """Names of what is known of an item at an hour."""
        return [*self.statistics.names, *self.number_names]

    def _channel_names(self, channels: Sequence[str]) -> list[str]:
        return [f"{channel}_{what}" for channel in channels for what in ("rank", "score")]

    def _affinity_names(self) -> list[str]:
        spans = ("all", "recent")
        distances = [f"{name}_distance_{span}" for span in spans for name in self.number_names]
        return [*(f"category_{span}" for span in spans), *distances, "category_value", "popularity_gap"]

    def request_frame(self, requests: Requests) -> dict[str, np.ndarray]:
        """Numbers of each request, (n,) float32; times in log seconds, NaN without a history."""
        history, told = requests.history, np.empty((3, len(requests)), dtype=np.float32)
        _activity(history.timestamps, history.starts, history.ends, requests.now, told)
        return {TIMESTAMP: requests.now, **dict(zip(ACTIVITY, told, strict=True))}

    def candidate_frame(self, requests: Requests, merged: MergedCandidates) -> dict[str, np.ndarray]:
        """Numbers of each candidate by name, (n, k) float32; what stands in padded places means nothing.

        Of a channel the reciprocal rank (0 where not found) and the score between the request's least (0) and
        best (1). Of an item its statistics, counts and times in logs, as of the last full hour, and its
        numeric attributes. How near it is to what its user had, ever and lately: cosine of categories,
        distances to the mean number and to the mean popularity; and how much more than its user's mean value
        had what was of its categories.
        """
        numbers = self.candidate_numbers(requests, merged)
        found, known = self.found_names(merged.channels), self.known_names
        frame = {name: numbers.found[:, number] for number, name in enumerate(found)}
        return frame | {name: numbers.known[numbers.at, number] for number, name in enumerate(known)}

    def candidate_numbers(self, requests: Requests, merged: MergedCandidates) -> CandidateNumbers:
        """What `candidate_frame` names."""
        history, n_numbers = requests.history, len(self.number_names)
        last, _, _ = history.last(RECENT)
        both = np.maximum(np.concatenate([merged.items, last], axis=1), 0)
        known, items, at = self._known(both, requests.now)
        n_found = 2 * len(merged.channels)
        found = np.empty((len(merged), n_found + 4 + 2 * n_numbers, merged.items.shape[1]), dtype=np.float32)
        spans, met = (history.starts, history.ends), history.items
        _channels(merged.ranks, merged.channel_scores, found)
        _affinity(merged.items, met, *spans, RECENT, self.categories, self.numbers, found[:, n_found:])
        _category_value(merged.items, met, history.values, *spans, self.categories, UNTOLD, found[:, -2])
        _popularity_gap(last, at, known[:, 0], found[:, -1])
        return CandidateNumbers(found, known, items, at[:, : merged.items.shape[1]])

    def save(self, folder: Path) -> None:
        """Write two ``.npz`` files."""
        self.statistics.save(folder / "statistics.npz")
        names = np.array(self.number_names, dtype=np.str_)
        arrays = {"categories": self.categories, "numbers": self.numbers, "number_names": names}
        write_arrays(folder / "items.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(folder / "items.npz")
        names = tuple(arrays.pop("number_names").tolist())
        return cls(Statistics.load(folder / "statistics.npz"), number_names=names, **arrays)

    def _known(self, items: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What is known of items as `CandidateNumbers` has it, with the place of each of ``items`` (n, k)."""
        hours = now // HOUR * HOUR
        if len(hours) and (hours == hours[0]).all() and self._keeps(int(hours[0])):
            return self._kept[int(hours[0])], np.arange(len(self.numbers)), items
        flat, moments = items.ravel(), np.repeat(hours, items.shape[1])
        return self._as_of(flat, moments), flat, np.arange(items.size).reshape(items.shape)

    def _keeps(self, hour: int) -> bool:
        """Whether there is a table of every item at ``hour``: from the second time on that it is asked of."""
        if hour not in self._kept and hour in self._asked and len(self.numbers) <= MOST_ITEMS:
            self._kept.clear()
            self._kept[hour] = self._as_of(np.arange(len(self.numbers)), hour)
        self._asked.clear()
        self._asked.add(hour)
        return hour in self._kept

    @cached_property
    def _kept(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _asked(self) -> set[int]:
        return set()

    def _as_of(self, items: np.ndarray, moments: np.ndarray | int) -> np.ndarray:
        statistics = [
            _log(values) if name in self.statistics.log_names else values
            for name, values in self.statistics.at(items, moments).items()
        ]
        return np.column_stack([*statistics, self.numbers[items]])


@dataclass(frozen=True)
class CandidateNumbers:
    """``found`` (n, numbers, k) float32 is of a candidate in its request, in the order of ``found_names``.

    What is ``known`` (rows, numbers) float32 of ``items`` (rows,) at the hour stands apart, for many requests
    share it; candidates are its rows ``at`` (n, k).
    """

    found: np.ndarray
    known: np.ndarray
    items: np.ndarray
    at: np.ndarray


def _as_labels(value: object) -> list[str]:
    if isinstance(value, list):
        return value
    return [] if value is None else [str(value)]


def _unit_vectors(labels: Sequence[Sequence[str]]) -> np.ndarray:
    column = {name: place for place, name in enumerate(sorted({name for row in labels for name in row}))}
    vectors = np.zeros((len(labels), len(column)), dtype=np.float32)
    for number, row in enumerate(labels):
        vectors[number, [column[name] for name in row]] = 1 / np.sqrt(max(len(set(row)), 1))
    return vectors


def _log(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.log1p(np.maximum(values, 0)), dtype=np.float32)


@njit(nogil=True, cache=True)
def _activity(timestamps, starts, ends, now, told):  # type: ignore[no-untyped-def]
    """`ACTIVITY`, each in logs."""
    for row in range(len(starts)):
        met = timestamps[starts[row] : ends[row]]
        told[0, row] = np.log1p(np.float64(len(met)))
        told[1:, row] = np.nan
        if len(met):
            told[1, row] = np.log1p(np.float64(max(now[row] - met[-1], 0)))
            told[2, row] = np.log1p(np.float64(max(now[row] - met[0], 0)))


@njit(nogil=True, cache=True)
def _channels(ranks, scores, values):  # type: ignore[no-untyped-def]
    n, k, n_channels = ranks.shape
    for row in range(n):
        for channel in range(n_channels):
            low, high = np.float32(np.inf), np.float32(-np.inf)
            for at in range(k):
                if ranks[row, at, channel] != PAD:
                    low = min(low, scores[row, at, channel])
                    high = max(high, scores[row, at, channel])
            width = high - low if high > low else np.float32(1)
            for at in range(k):
                rank, score = ranks[row, at, channel], (scores[row, at, channel] - low) / width
                values[row, 2 * channel, at] = 0 if rank == PAD else 10 / (10 + rank)
                values[row, 2 * channel + 1, at] = -0.1 if rank == PAD else score


@njit(nogil=True, cache=True)
def _affinity(items, met, starts, ends, recent, categories, numbers, values):  # type: ignore[no-untyped-def]
    """Cosines of all and of the ``recent`` last, then distances of all, then of these."""
    n_numbers = numbers.shape[1]
    for row in range(len(items)):
        for span in range(2):
            start = starts[row] if span == 0 else max(starts[row], ends[row] - recent)
            profile, means = _profile(met[start : ends[row]], categories, numbers)
            for at in range(items.shape[1]):
                cosine = np.float32(0)
                for category in range(len(profile)):
                    cosine += profile[category] * categories[items[row, at], category]
                values[row, span, at] = cosine
                for number in range(n_numbers):
                    distance = abs(numbers[items[row, at], number] - means[number])
                    values[row, 2 + span * n_numbers + number, at] = distance


@njit(nogil=True, cache=True)
def _profile(met, categories, numbers):  # type: ignore[no-untyped-def]
    """Direction of the categories of ``met``, zeros if they have none, and the mean of each known number."""
    profile = np.zeros(categories.shape[1], dtype=np.float32)
    sums, counts = np.zeros(numbers.shape[1]), np.zeros(numbers.shape[1])
    for item in met:
        for category in range(len(profile)):
            profile[category] += categories[item, category]
        for number in range(len(sums)):
            if not np.isnan(numbers[item, number]):
                sums[number] += numbers[item, number]
                counts[number] += 1
    norm = np.sqrt((profile * profile).sum())
    if norm > 0:
        profile /= norm
    for number in range(len(sums)):
        sums[number] = sums[number] / counts[number] if counts[number] else np.nan
    return profile, sums


@njit(nogil=True, cache=True)
def _category_value(items, met, values, starts, ends, categories, untold, told):  # type: ignore[no-untyped-def]
    """By how much the value of what was of its categories lies above the mean of all that was met."""
    for row in range(len(items)):
        its = values[starts[row] : ends[row]]
        mean = its.mean() if len(its) else np.float32(0)
        above, n = np.zeros((2, categories.shape[1]), dtype=np.float32)
        for at in range(len(its)):
            shares = categories[met[starts[row] + at]]
            for category in range(len(n)):
                above[category] += shares[category] * (its[at] - mean)
                n[category] += shares[category]
        above /= n + np.float32(untold)
        for at in range(items.shape[1]):
            total = np.float32(0)
            for category in range(len(n)):
                total += categories[items[row, at], category] * above[category]
            told[row, at] = total


@njit(nogil=True, cache=True)
def _popularity_gap(last, rows, popularity, gap):  # type: ignore[no-untyped-def]
    """From the mean popularity of the ``last`` items, which stand in ``rows`` behind the candidates."""
    k = gap.shape[1]
    for row in range(len(last)):
        total, n = 0.0, 0
        for place in range(last.shape[1]):
            if last[row, place] != PAD:
                total += popularity[rows[row, k + place]]
                n += 1
        mean = total / n if n else np.nan
        for at in range(k):
            gap[row, at] = popularity[rows[row, at]] - mean
