"""The items with the largest product with a query: all compared, or found by one of faiss' indexes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from recsys.artifacts import ArtifactError, replacing
from recsys.recall.seen import best_unseen_of, best_unseen_products
from recsys.recall.vectors import as_distances, check_choice
from recsys.types import Candidates, Histories

Kind = Literal["flat", "ivf", "hnsw", "lsh", "pq"]
INDEX = "index.faiss"
WIDTH = 8
"""Vectors get zeros until their length is a multiple of this: processors add up so many at once."""
FEW = 39
"""Vectors, below which a centroid is chance: a list has no fewer, and so few are all compared."""
PER_CENTROID = 64
"""Vectors to a list that take part in finding its centroid, at most."""
PROBES, COVER = 32, 24
"""IVF looks at so many lists, and at as many more as hold so many times what is wanted."""
LINKS, BEAM_BUILD, BEAM = 16, 64, 6
"""HNSW: neighbours an item keeps, those looked at for them; in a search, as a multiple of what is wanted."""
BITS = 4
"""LSH: hash bits a dimension."""
RESCORED = 16
"""LSH and PQ: times as many candidates as are wanted get their exact product."""


@dataclass(frozen=True, eq=False)
class Search:
    """Finds the best of ``vectors`` (n_items, d) float32 but the ``unmet`` (m,), by product with a query.

    - ``flat``: all are compared, by our own kernel. Exact, nothing to build; of a few thousand items nothing
      is faster.
    - ``ivf``: lists of the vectors around each of some 4 √n centroids; the nearest lists are compared (Sivic
      & Zisserman, ICCV 2003). The first to try where flat is too slow.
    - ``hnsw``: a walk over a graph of near neighbours (Malkov & Yashunin, TPAMI 2020). Made for the nearest
      few: where hundreds are wanted it is slower than lists, and the dearest to build and to keep.
    - ``lsh``: bits that tell on which side of random planes a vector is (Charikar, STOC 2002); all are
      compared by these. Nothing to learn.
    - ``pq``: four bits for every two dimensions (Jégou et al., TPAMI 2011, as faiss' fast scan); all are
      compared by these. The smallest.

    An index only proposes: scores are exact products, whatever found the items. ``effort`` multiplies what
    is looked at: lists, the beam, or candidates that get their exact product. Vectors of one length are
    searched as they are, others as `as_distances` makes them, so that an index of distances finds products.
    """

    vectors: np.ndarray
    unmet: np.ndarray
    met: np.ndarray
    kind: Kind = "flat"
    index: Any = None
    effort: float = 1.0

    @classmethod
    def of(cls, vectors: np.ndarray, unmet: np.ndarray, kind: Kind = "flat") -> Self:
        """Build the index of ``kind``, by one thread, so that it is the same again."""
        check_choice("ann", kind, Kind)
        met = np.delete(np.arange(len(vectors)), unmet)
        if kind == "flat" or len(met) < FEW:
            return cls(vectors, unmet, met)
        return cls(vectors, unmet, met, kind, _built(kind, vectors[met]))

    def best_unseen(self, queries: np.ndarray, history: Histories, k: int) -> Candidates:
        """Pick the ``k`` best for each of ``queries`` (n, d) that its history lacks; zeros find nothing."""
        if self.index is None:
            return best_unseen_products(queries, self.vectors, self.unmet, history, k)
        # No more than a history can fall out of a list. One by one, so that a batch is as one by one.
        places = [
            self._proposed(query, k + length)
            for query, length in zip(queries, history.lengths.tolist(), strict=True)
        ]
        items = self.met[np.concatenate([np.zeros(0, np.int64), *places])]
        offsets = np.append(0, np.cumsum([len(each) for each in places], dtype=np.int64))
        scores = np.empty(len(items), dtype=np.float32)
        _products(queries, self.vectors, items, offsets, scores)
        return best_unseen_of(items, scores, offsets, len(self.vectors), history, k)

    @property
    def bytes(self) -> int:
        """What the index takes beside the vectors."""
        if self.index is None:
            return 0
        import faiss

        return len(faiss.serialize_index(self.index))

    def save(self, folder: Path) -> None:
        """Write the index; the vectors are the channel's."""
        if self.index is not None:
            import faiss

            with replacing(folder / INDEX) as temporary:
                faiss.write_index(self.index, str(temporary))

    @classmethod
    def load(cls, folder: Path, vectors: np.ndarray, unmet: np.ndarray, kind: Kind) -> Self:
        """Read what `save` wrote of a search of these ``vectors``."""
        met = np.delete(np.arange(len(vectors)), unmet)
        if kind == "flat" or len(met) < FEW:
            return cls(vectors, unmet, met)
        import faiss

        try:
            index = faiss.read_index(str(folder / INDEX))
        except RuntimeError as error:
            raise ArtifactError(f"{folder / INDEX}: cannot be read as an index ({error})") from error
        return cls(vectors, unmet, met, kind, index)

    def _proposed(self, query: np.ndarray, n: int) -> np.ndarray:
        """Places in ``met`` of about the ``n`` best."""
        if not query.any():
            return np.zeros(0, dtype=np.int64)
        n = min(n, len(self.met))
        wanted, how = self._looked_at(n)
        asked = np.pad(query, (0, self.index.d - len(query)))[None]
        places = self.index.search(asked, min(wanted, len(self.met)), params=how)[1][0]
        return np.asarray(places[places >= 0])

    def _looked_at(self, n: int) -> tuple[int, Any]:
        """How many the index is to propose where ``n`` are wanted, and what faiss is to look at for it."""
        import faiss  # here, because flat needs none of it

        if self.kind == "ivf":
            share = COVER * n / len(self.met)
            probes = min(math.ceil(self.effort * (PROBES + share * self.index.nlist)), self.index.nlist)
            return n, faiss.SearchParametersIVF(nprobe=probes)  # type: ignore[call-arg]
        if self.kind == "hnsw":
            beam = math.ceil(max(self.effort * BEAM, 1) * n)
            return n, faiss.SearchParametersHNSW(efSearch=beam)  # type: ignore[attr-defined]
        return math.ceil(self.effort * RESCORED * n), None


def _built(kind: Kind, vectors: np.ndarray) -> Any:
    """An index of ``vectors``, which have no zeros among them."""
    lifted = _lifted(vectors)
    with threadpool_limits(1):
        index = _empty(kind, *lifted.shape)
        index.train(lifted)
        index.add(lifted)
    return index


def _lifted(vectors: np.ndarray) -> np.ndarray:
    """Vectors of one length, a multiple of `WIDTH` wide; what is added to a query for that are zeros."""
    norms = np.linalg.norm(vectors, axis=1)
    if not np.allclose(norms, norms[0], rtol=1e-3):
        vectors = as_distances(vectors[:0], vectors)[1]
    return np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % WIDTH)))


def _empty(kind: Kind, n: int, d: int) -> Any:
    """An index for ``n`` vectors of length ``d``, still without them."""
    import faiss

    if kind == "hnsw":
        index: Any = faiss.IndexHNSWFlat(d, LINKS)
        index.hnsw.efConstruction = BEAM_BUILD
        return index
    if kind == "lsh":
        return faiss.IndexLSH(d, BITS * d)
    if kind == "pq":
        return faiss.IndexPQFastScan(d, d // 2, 4)
    lists = max(min(round(4 * n**0.5), n // FEW), 1)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(d), d, lists)
    index.cp.max_points_per_centroid = PER_CENTROID
    return index


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def _products(queries, vectors, items, offsets, scores):  # type: ignore[no-untyped-def]
    for row in range(len(queries)):
        query = queries[row]
        for at in range(offsets[row], offsets[row + 1]):
            vector, product = vectors[items[at]], np.float32(0)
            for column in range(len(query)):
                product += query[column] * vector[column]
            scores[at] = product
