"""Graph embeddings: items met in a row are linked, and walks along the links are read as sentences."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_json, write_json
from recsys.recall.item_space import ItemSpace, Profile
from recsys.types import Candidates, Interactions, Requests


@dataclass(kw_only=True, eq=False)
class GraphRecall:
    """Top ``k`` of the items that skip-gram expects beside the last ones of the user, on walks.

    From each item ``walks_per_item`` walks of ``walk_length`` items go along the weighted links of
    `ItemGraph`, with node2vec's ``p`` and ``q``; both 1 are DeepWalk. So items come near that were met beside
    the same third one, though nobody met both. The other settings are those of `skip_gram` and `Profile`, and
    the answer is item2vec's: a mean of own vectors, among those of neighbours.

    Whoever has met no linked item gets an empty row; an item without links is not recalled.
    """

    name: ClassVar[str] = "graph"

    p: float = 1.0
    q: float = 1.0
    walks_per_item: int = 10
    walk_length: int = 40
    embedding_dim: int = 64
    window: int = 5
    negatives: int = 5
    exponent: float = 0.0
    epochs: int = 1
    learning_rate: float = 0.1
    history_length: int = 20
    decay: float = 0.6
    value_power: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.p <= 0 or self.q <= 0:
            raise ValueError(f"graph: p {self.p} and q {self.q} must be above 0")

    def fit(self, train: Interactions) -> Self:
        # Here, because answering needs no gensim and no walks.
        from recsys.recall.skip_gram import skip_gram
        from recsys.recall.walks import ItemGraph

        walks = ItemGraph.of(train).walks(self.walks_per_item, self.walk_length, self.p, self.q, self.seed)
        vectors, neighbours = skip_gram(
            walks,
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
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD and the unlinked."""
        return self.space_.similar(items, k)

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, embedding_dim) float32; zeros for items without links."""
        return self.space_.vectors

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {each.name: getattr(self, each.name) for each in fields(self)})
        self.space_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        channel.space_ = ItemSpace.load(folder)
        return channel
