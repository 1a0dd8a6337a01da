"""Again: what a user has met before, where people meet things more than once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_json, write_json
from recsys.recall.seen import best_unseen_of
from recsys.types import DAY, Candidates, Interactions, Requests


@dataclass(kw_only=True, eq=False)
class AgainRecall:
    """The user's own items, the oftener and the later they were met the higher.

    Each time counts ``exp(-age / days)`` at the moment of asking: how often, and how long ago, which is hard
    to beat for what people buy next (Hu et al., "Modeling Personalized Item Frequency Information for
    Next-basket Recommendation", SIGIR 2020). A user without history gets an empty row, and so does everybody
    where seen items do not return.
    """

    name: ClassVar[str] = "again"

    days: float = 60.0

    def __post_init__(self) -> None:
        if self.days <= 0:
            raise ValueError(f"again: days {self.days} is not above 0")

    def fit(self, train: Interactions) -> Self:
        self.n_items_ = train.n_items
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        history, (rows, at) = requests.history, requests.history.flat()
        ages = np.maximum(requests.now[rows] - history.timestamps[at], 0) / DAY
        pairs, place = np.unique(rows * self.n_items_ + history.items[at], return_inverse=True)
        scores = np.bincount(place, np.exp(-ages / self.days), len(pairs)).astype(np.float32)
        offsets = np.searchsorted(pairs, np.arange(len(requests) + 1) * self.n_items_)
        return best_unseen_of(pairs % self.n_items_, scores, offsets, self.n_items_, requests.seen, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {"days": self.days, "n_items": self.n_items_})

    @classmethod
    def load(cls, folder: Path) -> Self:
        known = read_json(folder / "params.json")
        channel = cls(days=known["days"])
        channel.n_items_ = known["n_items"]
        return channel
