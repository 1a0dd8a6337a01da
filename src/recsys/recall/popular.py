"""The most popular items: the same for everyone but for what each has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.seen import first_unseen
from recsys.types import DAY, PAD, Candidates, Interactions, Requests


@dataclass(kw_only=True, eq=False)
class PopularRecall:
    """Most-interacted items in the last ``days`` days (None: of all time); also the cold-start fallback.

    Items without an interaction in the window follow, by their interactions of all time; items
    never met are not recalled. An unknown user gets the list too. A score is the number of
    interactions in the window, plus the share of the all-time ones as a fraction.

    With ``segments`` (n_users,), integer codes, negative for unknown, there is a list for each segment as
    well: `recall_in_segment` answers with what is popular there, and then with what is popular at all.
    """

    name: ClassVar[str] = "popular"

    days: float | None = None
    segments: np.ndarray | None = field(default=None, repr=False)

    def fit(self, train: Interactions) -> Self:
        self.n_items_ = train.n_items
        every = np.ones(len(train), dtype=bool)
        inside: Iterable[np.ndarray] = [every]
        if self.segments is not None:
            own = self.segments[train.user_idx]
            told = range(self.segments.max(initial=-1) + 1)
            inside = chain(inside, (own == segment for segment in told))
        # Counted back from the newest event, never from today: a rerun must agree.
        recent = train.timestamp > train.newest - self.days * DAY if self.days else every
        lists = [_counted(train, those, those & recent) for those in inside]
        self.items_, self.scores_ = (np.stack(each) for each in zip(*lists, strict=True))
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return first_unseen(self.items_[0], self.scores_[0], self.n_items_, requests.seen, k)

    def recall_in_segment(self, requests: Requests, k: int) -> Candidates:
        """What is popular with users like who asks; with all, for whoever is in no segment."""
        found = Candidates.none(len(requests), k)
        own = np.zeros(len(requests), dtype=np.int64)
        if self.segments is not None:
            own = np.where(requests.users == PAD, 0, np.maximum(self.segments[requests.users], -1) + 1)
        for number in np.unique(own):
            rows = np.flatnonzero(own == number)
            some = first_unseen(
                self.items_[number], self.scores_[number], self.n_items_, requests.seen[rows], k
            )
            found.items[rows], found.scores[rows] = some.items, some.scores
        return found

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {"days": self.days})
        arrays = {"items": self.items_, "scores": self.scores_, "n_items": np.array(self.n_items_)}
        if self.segments is not None:
            arrays["segments"] = self.segments
        write_arrays(folder / "popular.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "popular.npz")
        channel = cls(**read_json(folder / "params.json"), segments=arrays.get("segments"))
        channel.items_, channel.scores_ = arrays["items"], arrays["scores"]
        channel.n_items_ = int(arrays["n_items"])
        return channel


def _counted(train: Interactions, inside: np.ndarray, lately: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items that anyone met and their scores, counted ``inside`` a segment and ``lately`` there."""
    counts = [
        np.bincount(train.item_idx[rows], minlength=train.n_items) for rows in (lately, inside, slice(None))
    ]
    order = np.lexsort((np.arange(train.n_items), *(-count for count in reversed(counts))))
    items = order[counts[-1][order] > 0].astype(np.int64)
    scores = counts[0] + counts[1] / (counts[1].max(initial=0) + 1)
    return items, scores[items].astype(np.float32)
