"""Texts as vectors: what words and parts of words they share."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from recsys.features.categorical import Kind
from recsys.features.values import FeatureError, labels, multi_label, texts
from recsys.types import PAD

WORDS = re.compile(r"\w+")
NOTHING = 1e-9
"""Lengths below are taken for rounding."""


@dataclass(frozen=True)
class Text:
    """Latent semantic analysis (Deerwester et al., JASIS 1990): TF-IDF by the largest singular directions.

    Terms are words and, with ``letters`` (low, high), the runs of so many letters in them, so that spellings
    and endings of one word are near each other; of a list of labels, the labels. Options: ``size``;
    ``letters``; ``min_count``, in how many values a term must stand; ``max_terms``, the commonest of them.

    Vectors have length 1; zeros where nothing is told or no term is known.
    """

    terms: tuple[str, ...]
    directions: str
    """Base64 of (terms, size) float32, little-endian: a term's vector times its IDF."""
    size: int
    letters: tuple[int, int] | None
    kind: ClassVar[Kind] = "number"

    @classmethod
    def fit(
        cls,
        values: np.ndarray,
        *,
        size: int = 64,
        letters: Sequence[int] | None = (3, 4),
        min_count: int = 2,
        max_terms: int = 10_000,
    ) -> Self:
        if size < 1:
            raise FeatureError(f"size must be positive, not {size}")
        parts = _lengths(letters)
        counts = [Counter(_terms(row, parts)) for row in _rows(values)]
        known = Counter(term for row in counts for term in row)
        ranked = sorted((-n, term) for term, n in known.items() if n >= min_count)
        terms = tuple(sorted(term for _, term in ranked[:max_terms]))
        frequency = np.array([known[term] for term in terms])
        idf = np.log((1 + len(counts)) / (1 + frequency)) + 1
        found = _directions(counts, terms, idf, size) * idf[:, None]
        coded = base64.b64encode(found.astype("<f4").tobytes()).decode()
        return cls(terms, coded, size, parts)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, size) float32."""
        vectors = np.zeros((len(values), self.size), dtype=np.float32)
        for row, told in enumerate(_rows(values)):
            counts = Counter(_terms(told, self.letters))
            known = [
                (place, n) for term, n in counts.items() if (place := self._places.get(term)) is not None
            ]
            if known:
                places, times = np.array(known).T
                # Alone as among others: a product a row.
                vector = (1 + np.log(times)).astype(np.float32) @ self._vectors[places]
                vectors[row] = vector / max(float(np.linalg.norm(vector)), 1e-12)
        return vectors

    @cached_property
    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.terms)}

    @cached_property
    def _vectors(self) -> np.ndarray:
        flat = np.frombuffer(base64.b64decode(self.directions), dtype="<f4")
        return flat.reshape(len(self.terms), self.size)


def _lengths(letters: Sequence[int] | None) -> tuple[int, int] | None:
    if letters is None:
        return None
    low, high = letters
    if not 1 <= low <= high:
        raise FeatureError(f"letters must be a low and a high number, not {list(letters)}")
    return int(low), int(high)


def _rows(values: np.ndarray) -> Iterator[str | list[str] | None]:
    """A text, a list of labels or None each."""
    yield from labels(values) if multi_label(values) else texts(values)


def _terms(told: str | list[str] | None, letters: tuple[int, int] | None) -> Iterator[str]:
    """Labels and words begin with "=", which no part of a word does."""
    if told is None:
        return
    if isinstance(told, list):
        yield from (f"={label}" for label in told)
        return
    for word in WORDS.findall(told.casefold()):
        yield f"={word}"
        if letters is not None:
            whole = f" {word} "
            for length in range(letters[0], letters[1] + 1):
                yield from (whole[at : at + length] for at in range(len(whole) - length + 1))


def _directions(
    counts: Sequence[Counter[str]], terms: Sequence[str], idf: np.ndarray, size: int
) -> np.ndarray:
    """Right singular vectors (terms, size) of the rows' TF-IDF at length 1; zeros beyond its rank."""
    # Here, because encoding needs none of it.
    from scipy import sparse
    from scipy.sparse import linalg

    found, places = np.zeros((len(terms), size)), {term: place for place, term in enumerate(terms)}
    entries = [(row, places.get(term, PAD), n) for row, each in enumerate(counts) for term, n in each.items()]
    rows, columns, times = np.array([each for each in entries if each[1] != PAD]).reshape(-1, 3).T
    if not len(rows):
        return found
    weights = (1 + np.log(times)) * idf[columns]
    weights /= np.sqrt(np.bincount(rows, weights**2)[rows])
    table = sparse.csr_matrix((weights, (rows, columns)), shape=(len(counts), len(terms)))
    if size < min(table.shape):
        _, values, right = linalg.svds(table, k=size, rng=0)
    else:
        _, values, right = np.linalg.svd(table.toarray(), full_matrices=False)
    right = right[np.argsort(-values, kind="stable")][: min(size, (values > NOTHING).sum())]
    # A direction may be found either way round: its largest entry is made positive.
    right *= np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])[:, None]
    found[:, : len(right)] = right.T
    return found
