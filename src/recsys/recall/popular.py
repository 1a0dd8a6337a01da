"""The most popular items: the same for everyone but for what each has seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.seen import first_unseen
from recsys.types import DAY, Candidates, Interactions, Requests


@dataclass(kw_only=True, eq=False)
class PopularRecall:
    """Most-interacted items in the last ``days`` days (None: of all time); also the cold-start fallback.

    Items without an interaction in the window follow, by their interactions of all time; items
    never met are not recalled. An unknown user gets the list too. A score is the number of
    interactions in the window, plus the share of the all-time ones as a fraction.
    """

    name: ClassVar[str] = "popular"

    days: float | None = None

    def fit(self, train: Interactions) -> Self:
        # Counted back from the newest event, never from today: a rerun must agree.
        newest = train.timestamp.max(initial=0)
        recent = train.timestamp > newest - self.days * DAY if self.days else slice(None)
        ever = np.bincount(train.item_idx, minlength=train.n_items)
        lately = np.bincount(train.item_idx[recent], minlength=train.n_items)
        order = np.lexsort((np.arange(train.n_items), -ever, -lately))
        self.items_ = order[ever[order] > 0].astype(np.int64)
        scores = lately + ever / (ever.max(initial=0) + 1)
        self.scores_ = scores[self.items_].astype(np.float32)
        self.n_items_ = train.n_items
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return first_unseen(self.items_, self.scores_, self.n_items_, requests.history, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {"days": self.days})
        write_arrays(
            folder / "popular.npz",
            {"items": self.items_, "scores": self.scores_, "n_items": np.array(self.n_items_)},
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        arrays = read_arrays(folder / "popular.npz")
        channel.items_, channel.scores_ = arrays["items"], arrays["scores"]
        channel.n_items_ = int(arrays["n_items"])
        return channel
