"""Random walks on the graph of items that were met one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from scipy import sparse

from recsys.types import PAD, Interactions


@dataclass(frozen=True)
class ItemGraph:
    """Undirected: an edge weighs how often the one item was met right after the other, either way round.

    Item ``i`` has ``neighbours[offsets[i]:offsets[i + 1]]`` (int32, ascending); ``weights`` (float64) go with
    them, summed up along each item's neighbours.
    """

    offsets: np.ndarray
    neighbours: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, train: Interactions) -> Self:
        items, users = train.item_idx[train.by_user], train.user_idx[train.by_user]
        follows = (users[1:] == users[:-1]) & (items[1:] != items[:-1])
        one, other = items[:-1][follows], items[1:][follows]
        rows, columns = np.concatenate([one, other]), np.concatenate([other, one])
        shape = (train.n_items, train.n_items)
        edges = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
        edges.sum_duplicates()
        weights = edges.data.copy()
        _sum_along(edges.indptr, weights)
        return cls(edges.indptr, edges.indices, weights)

    def walks(self, per_item: int, length: int, p: float, q: float, seed: int) -> np.ndarray:
        """``per_item`` walks of ``length`` items from each that has neighbours: (n, length) int32.

        The next item is a neighbour, drawn by weight. In node2vec (Grover & Leskovec, KDD 2016) the way back
        weighs 1 / ``p`` times as much, and one away from the last item's neighbours 1 / ``q`` times; both 1
        are DeepWalk's walks (Perozzi et al., KDD 2014).
        """
        rng = np.random.default_rng(seed)
        linked = np.flatnonzero(np.diff(self.offsets)).astype(np.int32)
        starts = np.concatenate([rng.permutation(linked) for _ in range(per_item)])
        walks = np.empty((len(starts), length), dtype=np.int32)
        _walk(self.offsets, self.neighbours, self.weights, starts, 1 / p, 1 / q, rng, walks)
        return walks


@njit(nogil=True, cache=True)
def _sum_along(offsets, weights):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        for at in range(offsets[row] + 1, offsets[row + 1]):
            weights[at] += weights[at - 1]


@njit(nogil=True, cache=True)
def _walk(offsets, neighbours, weights, starts, back, away, rng, walks):  # type: ignore[no-untyped-def]
    """A neighbour is drawn by weight until chance takes one: no table of pairs of items is needed."""
    most = max(back, away, 1.0)
    for row in range(len(starts)):
        before, here = PAD, starts[row]
        for step in range(walks.shape[1]):
            walks[row, step] = here
            own = weights[offsets[here] : offsets[here + 1]]
            while True:
                drawn = np.searchsorted(own, rng.random() * own[-1], side="right")
                there = neighbours[offsets[here] + min(drawn, len(own) - 1)]
                if before == PAD or back == away == 1:
                    break
                if there == before:
                    chance = back
                else:
                    known = neighbours[offsets[before] : offsets[before + 1]]
                    at = np.searchsorted(known, there)
                    chance = 1.0 if at < len(known) and known[at] == there else away
                if rng.random() * most < chance:
                    break
            before, here = here, there
