"""What the vectors of users and items tell of each other: how near, and three ways from a user to items.

`u2i` compares the user with every item; `i2i` goes by items that are near to the last ones met; `u2u` by
what the users near to this one met last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
from scipy import sparse

from recsys.artifacts import read_arrays, write_arrays
from recsys.recall.seen import best_unseen_products, best_unseen_sums
from recsys.types import PAD, Candidates, Histories, Interactions, Requests

By = Literal["u2i", "i2i", "u2u"]
Measure = Literal["cosine", "dot", "euclid"]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., d) at length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: np.ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def as_products(queries: np.ndarray, vectors: np.ndarray, measure: Measure) -> tuple[np.ndarray, np.ndarray]:
    """Queries and vectors whose products are in the order of ``measure``, the nearest first."""
    if measure == "cosine":
        return unit(queries), unit(vectors)
    if measure == "euclid":  # |q - v|² = |q|² - 2 (q·v - |v|² / 2)
        return _longer(queries, np.float32(1)), _longer(vectors, -(vectors**2).sum(axis=1) / 2)
    return queries, vectors


def as_distances(queries: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Queries and vectors, one dimension longer, whose distances are in the order of the products.

    The largest product is no nearest neighbour: of two vectors in one direction the longer one wins,
    wherever the query is. Lifted onto a sphere all are of one length, and it is one: |q - v|² is a constant
    less 2 q·v (Bachrach et al., RecSys 2014).
    """
    squares = (vectors**2).sum(axis=1)
    lacking = np.sqrt(np.maximum(squares.max(initial=0) - squares, 0))
    return _longer(queries, np.float32(0)), _longer(vectors, lacking)


def nearest_others(vectors: np.ndarray, rows: np.ndarray, k: int, measure: Measure) -> Candidates:
    """The ``k`` of ``vectors`` (n, d) nearest to each of ``rows`` (m,), itself left out, by exact search.

    Scores are cosines, products or, of distances, 1 / (1 + distance). A row of zeros is near to none.
    """
    known = np.asarray(vectors.any(axis=1))
    queries, targets = as_products(vectors[rows], np.ascontiguousarray(vectors), measure)
    queries[(rows == PAD) | ~known[rows]] = 0  # finds nothing
    places = np.arange(len(rows) + 1)
    itself = Histories(rows, np.zeros_like(rows), np.zeros(len(rows)), places[:-1], places[1:])
    found = best_unseen_products(queries, targets, np.flatnonzero(~known), itself, k)
    if measure == "euclid":
        squares = (vectors[rows] ** 2).sum(axis=1, keepdims=True)
        distances = np.sqrt(np.maximum(squares - 2 * found.scores, 0))
        found.scores[:] = np.where(found.items == PAD, -np.inf, 1 / (1 + distances))
    return found


@dataclass(frozen=True)
class SimilarItems:
    """``i2i``: the items similar to the last ones met, each times ``fading`` (n_last,), summed."""

    similar: sparse.csr_matrix
    fading: np.ndarray

    @classmethod
    def of(cls, items: np.ndarray, k: int, measure: Measure, fading: np.ndarray) -> Self:
        """From item vectors (n_items, d): the ``k`` nearest to each, whose likeness is above 0."""
        near = nearest_others(items, np.arange(len(items)), k, measure)
        found = near.scores > 0
        offsets = np.append(0, found.sum(axis=1).cumsum())
        shape = len(items), len(items)
        return cls(sparse.csr_matrix((near.scores[found], near.items[found], offsets), shape=shape), fading)

    def recall(self, requests: Requests, k: int) -> Candidates:
        items = requests.history.last(len(self.fading))[0]
        weights = np.where(items == PAD, np.float32(0), self.fading)
        return best_unseen_sums(items, weights, self.similar, requests.seen, k)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes."""
        return {**_parts(self.similar), "fading": self.fading}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(_matrix(arrays), arrays["fading"])


@dataclass(frozen=True)
class SimilarUsers:
    """``u2u``: what the most similar ``users`` (n_users, k) met last, each times ``similarities``, summed.

    A user whom train does not know gets an empty row.
    """

    users: np.ndarray
    similarities: np.ndarray
    last_items: sparse.csr_matrix

    @classmethod
    def of(cls, users: np.ndarray, k: int, measure: Measure, train: Interactions, fading: np.ndarray) -> Self:
        """From user vectors (n_users, d): the ``k`` nearest to each, whose likeness is above 0."""
        near = nearest_others(users, np.arange(len(users)), k, measure)
        found = near.scores > 0
        last = train.histories(np.arange(train.n_users)).last(len(fading))[0]
        met = last != PAD
        offsets = np.append(0, met.sum(axis=1).cumsum())
        weights = np.broadcast_to(fading, last.shape)[met]
        table = sparse.csr_matrix((weights, last[met], offsets), shape=(train.n_users, train.n_items))
        table.sum_duplicates()  # who met an item again
        return cls(np.where(found, near.items, PAD), np.where(found, near.scores, 0), table)

    def recall(self, requests: Requests, k: int) -> Candidates:
        neighbours = np.where(requests.users[:, None] == PAD, PAD, self.users[requests.users])
        similarities = self.similarities[requests.users]
        return best_unseen_sums(neighbours, similarities, self.last_items, requests.seen, k)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes."""
        return {**_parts(self.last_items), "users": self.users, "similarities": self.similarities}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(arrays["users"], arrays["similarities"], _matrix(arrays))


Neighbours = SimilarItems | SimilarUsers
TABLES: Mapping[By, type[Neighbours]] = {"i2i": SimilarItems, "u2u": SimilarUsers}
NEIGHBOURS = "neighbours.npz"


def save_neighbours(folder: Path, tables: Neighbours | None) -> None:
    """Write what `neighbours` gave."""
    if tables is not None:
        write_arrays(folder / NEIGHBOURS, tables.arrays())


def load_neighbours(folder: Path, by: By) -> Neighbours | None:
    """Read what `save_neighbours` wrote."""
    return TABLES[by].from_arrays(read_arrays(folder / NEIGHBOURS)) if by in TABLES else None


def neighbours(
    by: By,
    users: np.ndarray,
    items: np.ndarray,
    train: Interactions,
    *,
    measure: Measure,
    k_similar: int,
    n_last: int,
    decay: float,
) -> Neighbours | None:
    """The tables that ``by`` needs, from the vectors of ``users`` and ``items``; ``u2i`` needs none.

    Each of the last ``n_last`` items counts exp(-decay * items after it).
    """
    check_choice("by", by, By)
    check_choice("measure", measure, Measure)
    fading = np.exp(-decay * np.arange(n_last)).astype(np.float32)
    if by == "i2i":
        return SimilarItems.of(items, k_similar, measure, fading)
    if by == "u2u":
        return SimilarUsers.of(users, k_similar, measure, train, fading)
    return None


def check_choice(name: str, value: str, kinds: object) -> None:
    """ValueError where ``value`` is none of the ``kinds`` (a Literal)."""
    if value not in get_args(kinds):
        raise ValueError(f"{name} {value!r} is none of {', '.join(get_args(kinds))}")


def _longer(vectors: np.ndarray, column: np.ndarray | np.float32) -> np.ndarray:
    """One ``column`` more."""
    return np.column_stack([vectors, np.broadcast_to(column, len(vectors))]).astype(np.float32)


def _parts(table: sparse.csr_matrix) -> dict[str, np.ndarray]:
    parts = {"table": table.data, "columns": table.indices, "offsets": table.indptr}
    return {**parts, "shape": np.array(table.shape)}


def _matrix(arrays: Mapping[str, np.ndarray]) -> sparse.csr_matrix:
    parts = arrays["table"], arrays["columns"], arrays["offsets"]
    return sparse.csr_matrix(parts, shape=tuple(arrays["shape"].tolist()))
