"""Fresh items: too new to be known by who met them, so known by the items that are like them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from scipy import sparse

from recsys.artifacts import read_json, write_json
from recsys.recall.item_space import ItemSpace, Profile
from recsys.recall.seen import best_unseen_products
from recsys.recall.vectors import unit
from recsys.types import PAD, Candidates, Histories, Interactions, Requests

PARAMS = ("days", "n_similar", "history_length", "decay", "value_power")


@dataclass(kw_only=True, eq=False)
class FreshRecall:
    """Top ``k`` of the fresh items alone, by cosine to the mean of the last items.

    An item is fresh if train first met it in its last ``days`` days, or never. ``item_vectors`` (n_items, d)
    come from a channel that learns from who met what, ``content_vectors`` (n_items, e) from one that knows of
    every item: a fresh item stands where the ``n_similar`` older ones do that are like it in content, at the
    mean of their item vectors weighted by likeness. `Profile` says what ``history_length``, ``decay`` and
    ``value_power`` make of a user.

    Whoever has met no item with a vector gets an empty row; a list is no longer than there are fresh items.
    """

    name: ClassVar[str] = "fresh"

    item_vectors: np.ndarray = field(repr=False)
    content_vectors: np.ndarray = field(repr=False)
    days: float = 30
    n_similar: int = 20
    history_length: int = 20
    decay: float = 0.9
    value_power: float = 0.0

    def fit(self, train: Interactions) -> Self:
        for vectors in (self.item_vectors, self.content_vectors):
            if len(vectors) != train.n_items:
                raise ValueError(f"{len(vectors)} item vectors for {train.n_items} items")
        fresh = train.fresh(self.days)
        vectors = unit(self.item_vectors.astype(np.float32))
        vectors[fresh] = self._between_older_ones(vectors, fresh)
        profile = Profile.fit(train, self.history_length, self.decay, self.value_power)
        self.space_ = ItemSpace.of(vectors, profile, recalled=fresh)
        return self

    def _between_older_ones(self, vectors: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        """For each of the ``fresh`` the weighted sum of the ``vectors`` of older items like it, (n, d)."""
        content, n = unit(self.content_vectors.astype(np.float32)), int(fresh.sum())
        never = np.zeros(0, dtype=np.int64)
        nothing = Histories(never, never, never, np.zeros(n, np.int64), np.zeros(n, np.int64))
        hidden = np.flatnonzero(fresh | ~vectors.any(axis=1))
        alike = best_unseen_products(content[fresh], content, hidden, nothing, self.n_similar)
        found = (alike.items != PAD) & (alike.scores > 0)
        offsets = np.append(0, found.sum(axis=1).cumsum())
        weights = sparse.csr_matrix((alike.scores[found], alike.items[found], offsets), (n, len(vectors)))
        return np.asarray(weights @ vectors)

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self.space_.recall(requests, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        self.space_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        space = ItemSpace.load(folder)
        params = read_json(folder / "params.json")
        # What they were made of is not kept: a new fit is given new ones.
        channel = cls(item_vectors=space.vectors, content_vectors=space.vectors[:, :0], **params)
        channel.space_ = space
        return channel
