"""Tables of similar items: how a channel answers whose fit has made one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numba import njit
from scipy import sparse

from recsys.recall.seen import best_unseen_sums
from recsys.types import PAD, Candidates, Histories, Requests


@dataclass(frozen=True)
class SimilarItems:
    """The last ``n_last`` items of the user x the ones similar to them, summed.

    Row ``i`` of ``table`` (n_items, n_items) float32 are the items similar to ``i``, the most similar first.
    The user's items count ``exp(-history_decay * place)``, the newest at place 0, times
    ``value ** value_power``.
    """

    table: sparse.csr_matrix
    n_last: int
    history_decay: float
    value_power: float

    @classmethod
    def of(cls, items: np.ndarray, similarities: np.ndarray, **how: float) -> Self:
        """From what `cooccurrence` gives, (n_items, k) each; ``how`` are the other fields."""
        found = items != PAD
        offsets = np.append(0, found.sum(axis=1).cumsum())
        return cls.from_arrays(
            {"items": items[found], "similarities": similarities[found], "offsets": offsets}, **how
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **how: float) -> Self:
        """Restore what `arrays` gave."""
        n = len(arrays["offsets"]) - 1
        parts = arrays["similarities"], arrays["items"], arrays["offsets"]
        return cls(sparse.csr_matrix(parts, shape=(n, n)), **how)  # type: ignore[arg-type]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The table as it is saved."""
        table = self.table
        return {"items": table.indices, "similarities": table.data, "offsets": table.indptr}

    def recall(self, requests: Requests, k: int) -> Candidates:
        """Answer as `Recall.recall` does; a user without history gets an empty row."""
        liked, weights = self._liked(requests.history)
        return best_unseen_sums(liked, weights, self.table, requests.seen, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items most similar to each of ``items``; an empty row for PAD."""
        found, offsets = Candidates.none(len(items), k), self.table.indptr
        for row in np.flatnonzero(items != PAD):
            start = offsets[items[row]]
            own = slice(start, min(start + k, offsets[items[row] + 1]))
            n = own.stop - own.start
            found.items[row, :n], found.scores[row, :n] = self.table.indices[own], self.table.data[own]
        return found

    def because(self, requests: Requests, items: np.ndarray) -> np.ndarray:
        """For each of ``items`` (n, k): which item of the user's history spoke for it most, or PAD.

        Of equal ones the lower row number.
        """
        sources = np.full(items.shape, PAD, dtype=np.int64)
        liked, weights = self._liked(requests.history)
        place = np.full(self.table.shape[0], PAD)
        table = self.table.indptr, self.table.indices, self.table.data
        _because(liked, weights, *table, items, place, sources)
        return sources

    @cached_property
    def _fading(self) -> np.ndarray:
        fading: np.ndarray = np.exp(-self.history_decay * np.arange(self.n_last)).astype(np.float32)
        return fading

    def _liked(self, history: Histories) -> tuple[np.ndarray, np.ndarray]:
        """The last ``n_last`` items of each user, and what they count: (n, n_last), 0 for PAD."""
        items, _, values = history.last(self.n_last)
        weights = np.where(items == PAD, np.float32(0), self._fading)
        if self.value_power:
            weights *= np.maximum(values, 0) ** np.float32(self.value_power)
        return items, weights


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
