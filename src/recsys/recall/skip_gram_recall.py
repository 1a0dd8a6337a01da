"""Channels whose vectors skip-gram learned: item2vec and graph differ in what it reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from recsys.artifacts import read_json, write_json
from recsys.recall.item_space import ItemSpace, Profile
from recsys.types import Candidates, Interactions, Requests


@dataclass(kw_only=True, eq=False)
class SkipGramRecall(ABC):
    """Top ``k`` of the items that skip-gram expects beside the last ones of the user.

    A user is the mean of the last items' own vectors, as `Profile` says by ``history_length``, ``decay`` and
    ``value_power``. Answers are looked for among the vectors of neighbours: by cosine to the own ones one
    finds what could stand in the last items' place, not what follows. `skip_gram` tells of its settings.

    Whoever has met no item with a vector gets an empty row; an item without one is not recalled.
    """

    embedding_dim: int = 64
    window: int = 5
    negatives: int = 5
    exponent: float = 0.0
    epochs: int = 3
    learning_rate: float = 0.1
    history_length: int = 20
    decay: float = 0.6
    value_power: float = 0.0
    seed: int = 0

    def fit(self, train: Interactions) -> Self:
        # Here, because answering needs no gensim.
        from recsys.recall.skip_gram import skip_gram

        vectors, neighbours = skip_gram(
            self._sentences(train),
            train.n_items,
            embedding_dim=self.embedding_dim,
            window=self.window,
            negatives=self.negatives,
            exponent=self.exponent,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=self.seed,
        )
        profile = Profile.fit(train, self.history_length, self.decay, self.value_power)
        self.space_ = ItemSpace.of(vectors, profile, answers=neighbours)
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self.space_.recall(requests, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD or without a vector."""
        return self.space_.similar(items, k)

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, embedding_dim) float32; zeros for items without one."""
        return self.space_.vectors

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in self._saved()})
        self.space_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        channel.space_ = ItemSpace.load(folder)
        return channel

    def _saved(self) -> list[str]:
        return [each.name for each in fields(self) if each.name != "engine"]

    @abstractmethod
    def _sentences(self, train: Interactions) -> Iterable[np.ndarray]:
        """Items in the order that skip-gram reads them, one array a sentence."""
