"""Random walks on the graph of items that were met one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from scipy import sparse

from recsys.data.draw import mix
from recsys.types import PAD, Engine, Interactions


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
    def of(cls, train: Interactions, engine: Engine = "local") -> Self:
        if engine == "spark":
            from recsys.recall import walks_on_spark

            return cls._with(*walks_on_spark.links(train), train.n_items)
        items, users = train.item_idx[train.by_user], train.user_idx[train.by_user]
        follows = (users[1:] == users[:-1]) & (items[1:] != items[:-1])
        one, other = items[:-1][follows], items[1:][follows]
        return cls._with(one, other, np.ones(len(one)), train.n_items)

    @classmethod
    def _with(cls, one: np.ndarray, other: np.ndarray, times: np.ndarray, n_items: int) -> Self:
        """Link each ``one`` with its ``other``, that were met in a row so many ``times``."""
        rows, columns = np.concatenate([one, other]), np.concatenate([other, one])
        edges = sparse.csr_matrix((np.concatenate([times, times]), (rows, columns)), shape=(n_items, n_items))
        edges.sum_duplicates()
        weights = edges.data.astype(np.float64)
        _sum_along(edges.indptr, weights)
        return cls(edges.indptr, edges.indices, weights)

    def walks(
        self, per_item: int, length: int, p: float, q: float, seed: int, engine: Engine = "local"
    ) -> np.ndarray:
        """``per_item`` walks of ``length`` items from each that has neighbours: (n, length) int32.

        The next item is a neighbour, drawn by weight. In node2vec (Grover & Leskovec, KDD 2016) the way back
        weighs 1 / ``p`` times as much, and one away from the last item's neighbours 1 / ``q`` times; both 1
        are DeepWalk's walks (Perozzi et al., KDD 2014).
        """
        linked = np.flatnonzero(np.diff(self.offsets)).astype(np.int32)
        order = np.random.default_rng(seed)
        starts = np.concatenate([order.permutation(linked) for _ in range(per_item)])
        # Each walk draws from numbers of its own, wherever it is made.
        chance = mix(np.full(len(starts), seed), np.arange(len(starts)))
        if engine == "spark":
            from recsys.recall import walks_on_spark

            return walks_on_spark.walks(self, starts, chance, length, p, q)
        return self.walked(starts, chance, length, p, q)

    def walked(self, starts: np.ndarray, chance: np.ndarray, length: int, p: float, q: float) -> np.ndarray:
        """Walks from ``starts`` (n,), (n, length) int32; each draws from its own ``chance`` (n,) uint64."""
        walks = np.empty((len(starts), length), dtype=np.int32)
        _walk(self.offsets, self.neighbours, self.weights, starts, chance, 1 / p, 1 / q, walks)
        return walks


@njit(nogil=True, cache=True)
def _sum_along(offsets, weights):  # type: ignore[no-untyped-def]
    for row in range(len(offsets) - 1):
        for at in range(offsets[row] + 1, offsets[row + 1]):
            weights[at] += weights[at - 1]


@njit(nogil=True, cache=True)
def _draw(state):  # type: ignore[no-untyped-def]
    """SplitMix64 (Steele et al., OOPSLA 2014): the next state, and a number in [0, 1)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    mixed = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state, ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, cache=True)
def _walk(offsets, neighbours, weights, starts, chance, back, away, walks):  # type: ignore[no-untyped-def]
    """A neighbour is drawn by weight until chance takes one: no table of pairs of items is needed."""
    most = max(back, away, 1.0)
    for row in range(len(starts)):
        before, here, state = PAD, starts[row], chance[row]
        for step in range(walks.shape[1]):
            walks[row, step] = here
            own = weights[offsets[here] : offsets[here + 1]]
            while True:
                state, drawn = _draw(state)
                place = np.searchsorted(own, drawn * own[-1], side="right")
                there = neighbours[offsets[here] + min(place, len(own) - 1)]
                if before == PAD or back == away == 1:
                    break
                if there == before:
                    weight = back
                else:
                    known = neighbours[offsets[before] : offsets[before + 1]]
                    at = np.searchsorted(known, there)
                    weight = 1.0 if at < len(known) and known[at] == there else away
                state, drawn = _draw(state)
                if drawn * most < weight:
                    break
            before, here = here, there
