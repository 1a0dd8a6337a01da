"""Item-based collaborative filtering: items similar to what the user liked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numba import njit
from scipy import sparse

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.seen import best_unseen_sums
from recsys.types import DAY, PAD, Candidates, Histories, Interactions, Requests

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

        sequences = cooccurrence.Sequences.of(train)
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
            items, similarities = cooccurrence.weighed_by_distance(
                sequences,
                weight,
                self.time_decay,
                self.step_decay,
                self.backward,
                similarity,
                self.k_similar,
            )
        else:
            items, similarities = cooccurrence.weighed_by_middle(
                sequences.users_by_item,
                weight,
                (sequences.offsets[:-1], sequences.offsets[1:], sequences.items),
                similarity,
                self.k_similar,
            )
        found = items != PAD
        return self._use(similarities[found], items[found], np.append(0, found.sum(axis=1).cumsum()))

    def _weights_of_users(self, sequences: cooccurrence.Sequences) -> np.ndarray:
        weights = np.ones(len(sequences.lengths))
        if self.iuf:
            weights /= np.log1p(np.maximum(sequences.lengths, 1))
        if self.age_decay:
            last = sequences.newest()
            # No older than a float32 can tell from nothing when the other weights come on top.
            weights *= np.exp(-np.minimum(self.age_decay * (last.max(initial=0) - last) / DAY, OLDEST))
        return weights

    def _use(self, similarities: np.ndarray, items: np.ndarray, offsets: np.ndarray) -> Self:
        """Row ``i`` of ``similar_`` are the items similar to ``i``, the most similar first."""
        shape = (len(offsets) - 1, len(offsets) - 1)
        self.similar_ = sparse.csr_matrix((similarities, items, offsets), shape=shape)
        self._fading = np.exp(-self.history_decay * np.arange(self.n_last)).astype(np.float32)
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        liked, weights = self._liked(requests.history)
        return best_unseen_sums(liked, weights, self.similar_, requests.history, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items most similar to each of ``items``; an empty row for PAD."""
        found, offsets = Candidates.none(len(items), k), self.similar_.indptr
        for row in np.flatnonzero(items != PAD):
            start = offsets[items[row]]
            own = slice(start, min(start + k, offsets[items[row] + 1]))
            n = own.stop - own.start
            found.items[row, :n], found.scores[row, :n] = self.similar_.indices[own], self.similar_.data[own]
        return found

    def because(self, requests: Requests, items: np.ndarray) -> np.ndarray:
        """For each of ``items`` (n, k): which item of the user's history spoke for it most, or PAD.

        Of equal ones the lower row number.
        """
        sources = np.full(items.shape, PAD, dtype=np.int64)
        liked, weights = self._liked(requests.history)
        table = self.similar_
        place = np.full(table.shape[0], PAD)
        _because(liked, weights, table.indptr, table.indices, table.data, items, place, sources)
        return sources

    def _liked(self, history: Histories) -> tuple[np.ndarray, np.ndarray]:
        """The last ``n_last`` items of each user, and what they count: (n, n_last), 0 for PAD."""
        items, _, values = history.last(self.n_last)
        weights = np.where(items == PAD, np.float32(0), self._fading)
        if self.value_power:
            weights *= np.maximum(values, 0) ** np.float32(self.value_power)
        return items, weights

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        table = self.similar_
        arrays = {"items": table.indices, "similarities": table.data, "offsets": table.indptr}
        if self.categories is not None:
            arrays["categories"] = self.categories
        write_arrays(folder / "item_similar.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "item_similar.npz")
        channel = cls(**read_json(folder / "params.json"), categories=arrays.get("categories"))
        return channel._use(arrays["similarities"], arrays["items"], arrays["offsets"])


@njit(nogil=True, cache=True)
def _because(liked, weights, offsets, similar, similarities, items, place, sources):  # type: ignore[no-untyped-def]
    """Row by row; ``place``, an entry an item, is left as it came: PAD."""
    most = np.empty(items.shape[1], dtype=np.float32)
    for row in range(len(items)):
        most[:] = 0
        for at in range(items.shape[1]):
            if items[row, at] != PAD:
                place[items[row, at]] = at
        for each in range(liked.shape[1]):
            source, weight = liked[row, each], weights[row, each]
            if source == PAD or weight == 0:
                continue
            for column in range(offsets[source], offsets[source + 1]):
                at = place[similar[column]]
                if at == PAD:
                    continue
                amount = weight * similarities[column]
                if amount > most[at] or (amount == most[at] and amount > 0 and source < sources[row, at]):
                    most[at], sources[row, at] = amount, source
        for at in range(items.shape[1]):
            if items[row, at] != PAD:
                place[items[row, at]] = PAD
