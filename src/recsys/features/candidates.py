"""What the ranker knows of a candidate beside its attributes: how it was found, how it does, how it suits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from recsys.artifacts import read_arrays, write_arrays
from recsys.features.spec import Column
from recsys.features.statistics import Statistics
from recsys.types import PAD, Histories, Interactions, MergedCandidates, Requests

CANDIDATE, REQUEST = "candidate", "request"
HOUR = 3_600
"""Seconds. Statistics are as of a full hour, so that one table serves all requests of the next."""
RECENT = 10
"""How many of a user's last interactions are recent."""


@dataclass(frozen=True)
class CandidateFeatures:
    """Numbers of each request and of each of its candidates, as they stood at the request's moment.

    Those of the items' interactions are as of the last full hour before it.

    ``statistics`` of items; ``categories`` (n_items, c) float32 unit vectors; ``numbers`` (n_items, m)
    float32, the items' numeric attributes named ``number_names``, NaN where unknown.
    """

    statistics: Statistics
    categories: np.ndarray
    numbers: np.ndarray
    number_names: tuple[str, ...]

    @classmethod
    def fit(
        cls, past: Interactions, items: pd.DataFrame, category: str | None, windows: Sequence[int]
    ) -> Self:
        """Take in ``past``; ``category`` names the items' multi-label attribute, None where there is none."""
        numeric = [str(name) for name in items.columns if pd.api.types.is_float_dtype(items[name])]
        labels = items[category].map(_as_labels).tolist() if category else [[] for _ in range(len(items))]
        return cls(
            statistics=Statistics.fit(past, by="item", windows=windows),
            categories=_unit_vectors(labels),
            numbers=items[numeric].to_numpy(dtype=np.float32),
            number_names=tuple(numeric),
        )

    def columns(self, channels: Sequence[str]) -> list[Column]:
        """Features it makes, for `FeatureSpec.fit`: each in its standard and in its even spread."""
        groups = {
            "channel": [f"{channel}_{what}" for channel in channels for what in ("rank", "score")],
            "item": [*self.statistics.names, *self.number_names],
            "affinity": self._affinity_names(),
        }
        named = [(CANDIDATE, group, name) for group, names in groups.items() for name in names]
        named += [(REQUEST, "activity", name) for name in ("history_length", "since_last", "since_first")]
        return [
            Column(f"{name}_{encoder}", encoder, entity, group, {"source": name})
            for entity, group, name in named
            for encoder in ("standard", "uniform")
        ]

    def request_frame(self, requests: Requests) -> dict[str, np.ndarray]:
        """Numbers of each request, (n,) float32; times in log seconds, NaN without a history."""
        history = requests.history
        newest = _moment(history, history.ends - 1)
        oldest = _moment(history, history.starts)
        return {
            "timestamp": requests.now,
            "history_length": np.log1p(history.lengths).astype(np.float32),
            "since_last": _log(requests.now - newest),
            "since_first": _log(requests.now - oldest),
        }

    def candidate_frame(self, requests: Requests, merged: MergedCandidates) -> dict[str, np.ndarray]:
        """Numbers of each candidate, (n, k) float32; what stands in padded places means nothing."""
        items = np.where(merged.items == PAD, 0, merged.items)
        frame = self._channel_numbers(merged)
        known = self._statistics_at(items, requests.now)
        frame |= known
        frame |= {name: self.numbers[items, m] for m, name in enumerate(self.number_names)}
        return frame | self._affinity(requests, items, known["item_count"])

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

    @staticmethod
    def _channel_numbers(merged: MergedCandidates) -> dict[str, np.ndarray]:
        """Reciprocal rank (0 where not found) and the score between the request's least (0) and best (1)."""
        ranks, scores = merged.ranks, merged.channel_scores
        inside = ranks != PAD
        low = np.where(inside, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
        high = np.where(inside, scores, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
        with np.errstate(invalid="ignore"):
            share = (scores - low) / np.where(high > low, high - low, 1)
        rank = np.where(inside, 10 / (10 + ranks), 0).astype(np.float32)
        score = np.where(inside, share, -0.1).astype(np.float32)
        frame = {f"{name}_rank": rank[:, :, number] for number, name in enumerate(merged.channels)}
        return frame | {f"{name}_score": score[:, :, number] for number, name in enumerate(merged.channels)}

    def _statistics_at(self, items: np.ndarray, now: np.ndarray) -> dict[str, np.ndarray]:
        """Statistics of ``items`` (n, k), counts and times in logs, as of the last full hour."""
        hours = now // HOUR * HOUR
        if len(hours) and (hours == hours[0]).all():
            return {name: values[items] for name, values in self._every(int(hours[0])).items()}
        flat = self.statistics.at(items.ravel(), np.repeat(hours, items.shape[1]))
        return {name: values.reshape(items.shape) for name, values in _in_logs(flat).items()}

    def _every(self, hour: int) -> Mapping[str, np.ndarray]:
        """Statistics of every item; the last hour's are kept, for requests come hour by hour."""
        if hour not in self._kept:
            every = _in_logs(self.statistics.at(np.arange(len(self.categories)), hour))
            self._kept.clear()
            self._kept[hour] = every
        return self._kept[hour]

    @cached_property
    def _kept(self) -> dict[int, Mapping[str, np.ndarray]]:
        return {}

    def _affinity_names(self) -> list[str]:
        spans = ("all", "recent")
        near = [f"{name}_distance_{span}" for name in self.number_names for span in spans]
        return [f"category_{span}" for span in spans] + near + ["popularity_gap"]

    def _affinity(
        self, requests: Requests, items: np.ndarray, popularity: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Tell how near a candidate is to what its user had: cosine of categories, distance of numbers."""
        rows, at = requests.history.flat()
        met = requests.history.items[at]
        recent = at >= requests.history.ends[rows] - RECENT
        frame = {}
        for span, chosen in (("all", slice(None)), ("recent", recent)):
            of, had = rows[chosen], met[chosen]
            profile = _sums(self.categories[had], of, len(requests))
            norm = np.linalg.norm(profile, axis=1, keepdims=True)
            profile = np.divide(profile, norm, out=np.zeros_like(profile), where=norm > 0)
            frame[f"category_{span}"] = np.einsum("nc,nkc->nk", profile, self.categories[items])
            for m, name in enumerate(self.number_names):
                mean = _means(self.numbers[had, m], of, len(requests))
                frame[f"{name}_distance_{span}"] = np.abs(self.numbers[items, m] - mean[:, None])
        last, _, _ = requests.history.last(RECENT)
        usual = self._statistics_at(np.where(last == PAD, 0, last), requests.now)["item_count"]
        who, place = np.nonzero(last != PAD)
        mean = _means(usual[who, place], who, len(requests))
        return frame | {"popularity_gap": (popularity - mean[:, None]).astype(np.float32)}


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


def _moment(history: Histories, at: np.ndarray) -> np.ndarray:
    if not len(history.timestamps):
        return np.full(len(history), np.nan)
    inside = history.lengths > 0
    return np.where(inside, history.timestamps[np.where(inside, at, 0)], np.nan)


def _counts(name: str) -> bool:
    return "count" in name or "since" in name


def _in_logs(statistics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: _log(values) if _counts(name) else values for name, values in statistics.items()}


def _log(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.log1p(np.maximum(values, 0)), dtype=np.float32)


def _sums(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Sum of the ``values`` (m, c) of each of ``n`` rows, which ascend."""
    sums = np.zeros((n, values.shape[1]), dtype=values.dtype)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sums[rows[starts]] = np.add.reduceat(values, starts, axis=0)
    return sums


def _means(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    known = ~np.isnan(values)
    sums = np.bincount(rows[known], values[known], minlength=n)
    counts = np.bincount(rows[known], minlength=n)
    return np.asarray(np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0))
