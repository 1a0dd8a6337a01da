"""Swing: two items are similar if people who share little else share both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.similar_items import SimilarItems
from recsys.types import Candidates, Engine, Interactions, Requests

if TYPE_CHECKING:
    from recsys.recall import cooccurrence

PARAMS = (
    "k_similar",
    "n_last",
    "smoothing",
    "user_power",
    "power",
    "max_users",
    "history_decay",
    "value_power",
    "seed",
)


@dataclass(kw_only=True, eq=False)
class SwingRecall:
    """The last ``n_last`` items of the user x ``k_similar`` similar ones, summed.

    Similarity of ``i`` and ``j`` is the sum over pairs of users who met both of ``w w' / (smoothing + items
    that the two have in common)``, where a user of n items has ``w = n ** -user_power`` (Yang et al., "Large
    Scale Product Graph Construction for Recommendation in E-commerce", 2020). One click by chance makes no
    pair, and two who click everything make a light one. As in item_cf, it is divided by
    ``(n_i n_j) ** power``; 0 is the paper's own.

    Pairs grow with the square of an item's users: of more than ``max_users``, so many are drawn, and the sum
    is scaled up to all pairs. The user's items count ``exp(-history_decay * place)``, the newest at place 0,
    times ``value ** value_power``. A user without history gets an empty row.
    """

    name: ClassVar[str] = "swing"

    k_similar: int = 300
    n_last: int = 50
    smoothing: float = 1.0
    user_power: float = 0.5
    power: float = 0.5
    max_users: int = 100
    history_decay: float = 0.2
    value_power: float = 0.0
    seed: int = 0
    engine: Engine = "local"

    def __post_init__(self) -> None:
        if self.smoothing <= 0:
            raise ValueError(f"swing: smoothing {self.smoothing} is not above 0")
        if self.max_users < 2:
            raise ValueError(f"swing: max_users {self.max_users} makes no pair")
        for name in ("user_power", "power", "history_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"swing: {name} {getattr(self, name)} is below 0")

    def fit(self, train: Interactions) -> Self:
        # Here, because answering needs none of it.
        from recsys.recall import cooccurrence

        sequences = cooccurrence.Sequences.of(train)
        degrees = np.bincount(sequences.items, minlength=train.n_items)
        offsets, users = self._drawn(sequences)
        items, similarities = cooccurrence.tables_of(self.engine).weighed_by_pairs(
            (offsets, users),
            np.maximum(sequences.lengths, 1.0) ** -self.user_power,
            sequences,
            self.smoothing,
            cooccurrence.Similarity(degrees, self.power),
            self.k_similar,
        )
        drawn = np.diff(offsets)
        share = np.divide(
            degrees * (degrees - 1.0), drawn * (drawn - 1.0), where=drawn > 1, out=np.ones(len(drawn))
        )
        self.similar_ = SimilarItems.of(
            items, (similarities * share[:, None]).astype(np.float32), **self._how
        )
        return self

    def _drawn(self, sequences: cooccurrence.Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Offsets and users of each item, at most ``max_users``, who met most first: they are read least."""
        offsets, users = sequences.users_by_item
        items = np.repeat(np.arange(sequences.n_items), np.diff(offsets))
        chance = np.random.default_rng(self.seed).random(len(users))
        order = np.lexsort([chance, items])
        kept = order[np.arange(len(users)) - offsets[items] < self.max_users]
        kept = kept[np.lexsort([users[kept], -sequences.lengths[users[kept]], items[kept]])]
        drawn = np.minimum(np.diff(offsets), self.max_users)
        return np.append(0, drawn.cumsum()), users[kept]

    @property
    def _how(self) -> dict[str, float]:
        """What the user's items count."""
        return {name: getattr(self, name) for name in ("n_last", "history_decay", "value_power")}

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self.similar_.recall(requests, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items most similar to each of ``items``; an empty row for PAD."""
        return self.similar_.similar(items, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        write_arrays(folder / "item_similar.npz", self.similar_.arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        channel.similar_ = SimilarItems.from_arrays(read_arrays(folder / "item_similar.npz"), **channel._how)
        return channel
