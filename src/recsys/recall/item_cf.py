"""Item-based collaborative filtering: items similar to what the user liked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.similar_items import SimilarItems
from recsys.types import DAY, Candidates, Engine, Interactions, Requests

if TYPE_CHECKING:
    from recsys.recall import cooccurrence

PARAMS = (
    "k_similar",
    "n_last",
    "iuf",
    "age_decay",
    "time_decay",
    "step_decay",
    "backward",
    "category_weight",
    "power",
    "shrinkage",
    "history_decay",
    "value_power",
)

OLDEST = 30
"""Decays after which age counts no further."""


@dataclass(kw_only=True, eq=False)
class ItemCfRecall:
    """The last ``n_last`` items of the user x ``k_similar`` similar ones, summed (Sarwar et al., WWW 2001).

    Similarity of ``i`` and ``j`` is the sum over the users of both, divided by
    ``(n_i n_j) ** power + shrinkage``: with all weights off and power 0.5 the cosine. The weights:

    - ``iuf``: a user counts 1 / log(1 + items of the user) (Breese et al., UAI 1998);
    - ``age_decay``: a user counts exp(-age_decay * days from the user's last event to train's newest);
    - ``time_decay``: exp(-time_decay * days between the two);
    - ``step_decay``: exp(-step_decay * places between the two in the user's sequence);
    - ``backward``: what a ``j`` before ``i`` counts, where one after it counts 1;
    - ``category_weight``: what a pair of one category counts, where others count 1; needs
      ``categories`` (n_items,) uint64, a bit a category.

    Rates of 0 and weights of 1 are off. The user's items count ``exp(-history_decay * place)``,
    the newest at place 0, times ``value ** value_power``. A user without history gets an empty row.
    """

    name: ClassVar[str] = "item_cf"

    k_similar: int = 300
    n_last: int = 50
    iuf: bool = True
    age_decay: float = 0.002
    time_decay: float = 0.0
    step_decay: float = 0.1
    backward: float = 0.5
    category_weight: float = 1.0
    power: float = 0.4
    shrinkage: float = 0.0
    history_decay: float = 0.2
    value_power: float = 0.0
    categories: np.ndarray | None = None
    engine: Engine = "local"

    def __post_init__(self) -> None:
        for name in ("age_decay", "time_decay", "step_decay", "backward", "shrinkage", "history_decay"):
            if getattr(self, name) < 0:
                raise ValueError(f"item_cf: {name} {getattr(self, name)} is below 0")
        if self.category_weight <= 0:
            raise ValueError(f"item_cf: category_weight {self.category_weight} is not above 0")
        if self.category_weight != 1 and self.categories is None:
            raise ValueError(f"item_cf: category_weight {self.category_weight} needs categories")

    def fit(self, train: Interactions) -> Self:
        # Here, because answering needs none of it.
        from recsys.recall import cooccurrence

        sequences, tables = cooccurrence.Sequences.of(train), cooccurrence.tables_of(self.engine)
        degrees = np.bincount(sequences.items, minlength=train.n_items)
        similarity = cooccurrence.Similarity(
            degrees,
            self.power,
            self.shrinkage,
            labels=self.categories if self.category_weight != 1 else None,
            same=self.category_weight,
        )
        weight = self._weights_of_users(sequences)
        if self.time_decay or self.step_decay or self.backward != 1:
            items, similarities = tables.weighed_by_distance(
                sequences,
                weight,
                self.time_decay,
                self.step_decay,
                self.backward,
                similarity,
                self.k_similar,
            )
        else:
            items, similarities = tables.weighed_by_middle(
                sequences.users_by_item,
                weight,
                (sequences.offsets[:-1], sequences.offsets[1:], sequences.items),
                similarity,
                self.k_similar,
            )
        self.similar_ = SimilarItems.of(items, similarities, **self._how)
        return self

    def _weights_of_users(self, sequences: cooccurrence.Sequences) -> np.ndarray:
        weights = np.ones(len(sequences.lengths))
        if self.iuf:
            weights /= np.log1p(np.maximum(sequences.lengths, 1))
        if self.age_decay:
            last = sequences.newest()
            # No older than a float32 can tell from nothing when the other weights come on top.
            weights *= np.exp(-np.minimum(self.age_decay * (last.max(initial=0) - last) / DAY, OLDEST))
        return weights

    @property
    def _how(self) -> dict[str, float]:
        """What the user's items count."""
        return {name: getattr(self, name) for name in ("n_last", "history_decay", "value_power")}

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self.similar_.recall(requests, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items most similar to each of ``items``; an empty row for PAD."""
        return self.similar_.similar(items, k)

    def because(self, requests: Requests, items: np.ndarray) -> np.ndarray:
        """For each of ``items`` (n, k): which item of the user's history spoke for it most, or PAD.

        Of equal ones the lower row number.
        """
        return self.similar_.because(requests, items)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        arrays = self.similar_.arrays
        if self.categories is not None:
            arrays["categories"] = self.categories
        write_arrays(folder / "item_similar.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "item_similar.npz")
        channel = cls(**read_json(folder / "params.json"), categories=arrays.get("categories"))
        channel.similar_ = SimilarItems.from_arrays(arrays, **channel._how)
        return channel
