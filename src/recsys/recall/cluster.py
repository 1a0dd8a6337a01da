"""Clusters of items: a user is compared with centroids, then with the members of the nearest ones only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numba import njit

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.features.history import HistoryEncoder
from recsys.recall.item_space import Profile, product
from recsys.recall.seen import key, take_best
from recsys.recall.vectors import unit
from recsys.types import PAD, Candidates, Interactions, Requests

PARAMS = ("n_clusters", "n_probe", "history_length", "decay", "value_power", "iterations", "seed")
ARRAYS = ("vectors", "items", "starts", "centroids", "kernels")


@dataclass(kw_only=True, eq=False)
class ClusterRecall:
    """The ``k`` nearest to a user among the members of the ``n_probe`` nearest clusters, by cosine.

    ``item_vectors`` (n_items, d) come from another channel. Those of train's items are clustered by spherical
    k-means (Dhillon & Modha, Machine Learning 2001), the inverted file of Sivic & Zisserman (ICCV 2003). A
    user is the mean of the vectors of the last ``history_length`` items, each weighted by ``decay`` to the
    power of how many came after it, times its value (0 to 1) to ``value_power``.

    Whoever has met no item with a vector (or, with ``value_power``, only such of value 0) gets an empty row.
    """

    name: ClassVar[str] = "cluster"

    item_vectors: np.ndarray = field(repr=False)
    n_clusters: int = 64
    n_probe: int = 8
    history_length: int = 20
    decay: float = 0.7
    value_power: float = 0.0
    iterations: int = 25
    seed: int = 0

    def fit(self, train: Interactions) -> Self:
        """Cluster the items of ``train`` that have a vector.

        ``items_`` are all members, cluster after cluster, ``starts_`` where each begins; ``centroids_``
        (clusters, d) of unit length; ``kernels_`` (clusters,) each one's most central member.
        Clusters are at most as many as items.
        """
        if len(self.item_vectors) != train.n_items:
            raise ValueError(f"{len(self.item_vectors)} item vectors for {train.n_items} items")
        self.vectors_ = unit(self.item_vectors.astype(np.float32))
        met = train.item_counts > 0
        items = np.flatnonzero(met & self.vectors_.any(axis=1))
        self.vectors_[~met] = 0
        self.profile_ = Profile.fit(train, self.history_length, self.decay, self.value_power)
        centroids, labels = self._k_means(self.vectors_[items])
        nearness = np.einsum("nd,nd->n", self.vectors_[items], centroids[labels])
        order = np.lexsort((items, -nearness, labels))
        filled, starts = np.unique(labels[order], return_index=True)
        self.items_, self.starts_ = items[order], np.append(starts, len(items))
        self.centroids_, self.kernels_ = centroids[filled], self.items_[starts]
        return self

    def members(self, cluster: int) -> np.ndarray:
        """Items of ``cluster``, the most central first."""
        return self.items_[self.starts_[cluster] : self.starts_[cluster + 1]]

    def recall(self, requests: Requests, k: int) -> Candidates:
        return self._search(requests, k, self.n_probe)

    def recall_of_exact_search(self, requests: Requests, k: int, n_probe: int) -> np.ndarray:
        """Share of the ``k`` best of all clusters that ``n_probe`` of them find: one a user, NaN if none."""
        found = self._search(requests, k, n_probe).items
        exact = self._search(requests, k, len(self.centroids_)).items
        rows = np.arange(len(requests))[:, None] * len(self.vectors_)
        among = np.isin(rows + exact, (rows + found)[found != PAD]) & (exact != PAD)
        asked = (exact != PAD).sum(axis=1)
        share = np.full(len(requests), np.nan)
        np.divide(among.sum(axis=1), asked, out=share, where=asked > 0)
        return share

    def share_scored(self, requests: Requests, n_probe: int) -> np.ndarray:
        """Share of all members that the ``n_probe`` nearest clusters hold, (n,): what a search costs."""
        lengths = np.diff(self.starts_)
        users = self.profile_.vectors(requests, self.vectors_)
        near = [_nearest(user, self.centroids_, n_probe) for user in users]
        return np.array([lengths[clusters].sum() for clusters in near]) / len(self.items_)

    def save(self, folder: Path) -> None:
        params = {name: getattr(self, name) for name in PARAMS}
        write_json(folder / "params.json", {"params": params, "history": self.profile_.history.to_json()})
        write_arrays(folder / "clusters.npz", {name: getattr(self, f"{name}_") for name in ARRAYS})

    @classmethod
    def load(cls, folder: Path) -> Self:
        fitted, arrays = read_json(folder / "params.json"), read_arrays(folder / "clusters.npz")
        channel = cls(item_vectors=arrays["vectors"], **fitted["params"])
        history = HistoryEncoder.from_json(fitted["history"])
        channel.profile_ = Profile(history, channel.decay, channel.value_power)
        for name in ARRAYS:
            setattr(channel, f"{name}_", arrays[name])
        return channel

    def _k_means(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centroids, and the number of each vector's."""
        import faiss  # here, because a search needs none of it

        n = min(self.n_clusters, len(vectors))
        k_means = faiss.Kmeans(
            vectors.shape[1],
            n,
            niter=self.iterations,
            seed=self.seed,
            spherical=True,
            # All vectors take part, however few or many there are to a cluster.
            min_points_per_centroid=1,
            max_points_per_centroid=len(vectors),
        )
        k_means.train(vectors)
        _, labels = k_means.index.search(vectors, 1)
        return np.asarray(k_means.centroids), labels[:, 0]

    def _search(self, requests: Requests, k: int, n_probe: int) -> Candidates:
        found, seen = Candidates.none(len(requests), k), requests.seen
        how = self.centroids_, n_probe, self.starts_, self.items_, self.vectors_
        met = seen.items, seen.starts, seen.ends
        _search(self.profile_.vectors(requests, self.vectors_), *how, *met, found.items, found.scores)
        return found


@njit(nogil=True, cache=True)
def _search(  # type: ignore[no-untyped-def]
    queries, centroids, n_probe, starts, members, vectors, seen, seen_starts, seen_ends, best, scores
):
    """One by one, not in one matrix product: BLAS would add up in an order that depends on who else asks."""
    marked = np.zeros(len(vectors), dtype=np.bool_)
    keys = np.empty(len(members), dtype=np.uint64)
    for row in range(len(queries)):
        met = seen[seen_starts[row] : seen_ends[row]]
        for item in met:
            marked[item] = True
        found = 0
        for cluster in _nearest(queries[row], centroids, n_probe):
            for item in members[starts[cluster] : starts[cluster + 1]]:
                if not marked[item]:
                    keys[found] = key(product(queries[row], vectors[item]), item)
                    found += 1
        take_best(keys, found, best[row], scores[row])
        for item in met:
            marked[item] = False


@njit(nogil=True, cache=True)
def _nearest(query, centroids, n_probe):  # type: ignore[no-untyped-def]
    """Numbers of the ``centroids`` nearest to ``query`` (d,); none if that is all zeros."""
    if not query.any():
        return np.zeros(0, dtype=np.int64)
    nearness = np.array([product(query, centroid) for centroid in centroids])
    return np.argsort(-nearness, kind="mergesort")[:n_probe]
