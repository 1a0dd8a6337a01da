"""Content: items told of in the same words, whoever met them."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_json, write_json
from recsys.catalogue import Catalogue
from recsys.features.spec import Column, FeatureSpec
from recsys.recall.item_space import ItemSpace, Profile
from recsys.types import Candidates, Interactions, Requests

TITLE, CATEGORY = "title", "category"


@dataclass(kw_only=True, eq=False)
class ContentRecall:
    """Top ``k`` by cosine to the mean of the last items, in a space of what titles and categories tell.

    Both are encoded by `recsys.features.text.Text`, fitted on the items of train, in at most ``text_dim``
    numbers. The cosine of two items is that of their titles times ``title_weight`` (0 to 1) and that of their
    categories times the rest. `Profile` says what ``history_length``, ``decay`` and ``value_power`` make of a
    user.

    Items that train has never met are recalled too: they have words. Whoever has met no item of which
    anything is told gets an empty row.
    """

    name: ClassVar[str] = "content"

    catalogue: Catalogue | None = field(default=None, repr=False)
    text_dim: int = 64
    title_weight: float = 0.5
    history_length: int = 20
    decay: float = 0.9
    value_power: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.title_weight <= 1:
            raise ValueError(f"content: title_weight {self.title_weight} is not between 0 and 1")

    def fit(self, train: Interactions) -> Self:
        if self.catalogue is None:
            raise ValueError("content: needs the catalogue, of which it reads titles and categories")
        met = train.item_counts > 0
        profile = Profile.fit(train, self.history_length, self.decay, self.value_power)
        self.space_ = ItemSpace.of(self._vectors(self.catalogue, met), profile)
        return self

    def _vectors(self, catalogue: Catalogue, met: np.ndarray) -> np.ndarray:
        """Both parts of each item, (n_items, 2 * text_dim) float32."""
        frame = {
            TITLE: np.array(catalogue.titles, dtype=object),
            CATEGORY: np.fromiter(map(list, catalogue.categories), object, len(met)),
        }
        columns = [
            Column(name, "text", "item", name, {"size": self.text_dim, "min_count": min_count})
            for name, min_count in ((TITLE, 2), (CATEGORY, 1))
        ]
        spec = FeatureSpec.fit({"item": {name: values[met] for name, values in frame.items()}}, columns)
        told, weight = spec.encode(frame), self.title_weight
        return np.concatenate([np.sqrt(weight) * told[TITLE], np.sqrt(1 - weight) * told[CATEGORY]], axis=1)

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self.space_.recall(requests, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD."""
        return self.space_.similar(items, k)

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, 2 * text_dim) float32; zeros for items of which nothing is told."""
        return self.space_.vectors

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", self._params())
        self.space_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        channel.space_ = ItemSpace.load(folder)
        return channel

    def _params(self) -> dict[str, object]:
        """Collect the hyperparameters; the catalogue is none."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "catalogue"}
