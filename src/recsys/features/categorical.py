"""Encoders of categories. Row 0 of every table is the unknown: unseen, too rare or missing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat
from typing import ClassVar, Literal, Self

import numpy as np

from recsys.features.values import FeatureError, labels, multi_label, padded, texts
from recsys.types import PAD

Kind = Literal["id", "ids", "number"]
UNKNOWN = 0


def distinct(categories: Iterable[str | None], min_count: int = 1) -> tuple[str, ...]:
    """Sorted categories met at least ``min_count`` times."""
    counts = Counter(categories)
    return tuple(sorted(each for each, n in counts.items() if each is not None and n >= min_count))


@dataclass(frozen=True)
class Categories:
    """A vocabulary: each category has an embedding row.

    Options: ``min_count`` (rarer ones are unknown, which also trains the unknown row) or ``categories``, the
    list itself.
    """

    categories: tuple[str, ...]
    kind: ClassVar[Kind] = "id"

    @classmethod
    def fit(cls, values: np.ndarray, *, min_count: int = 1, categories: Sequence[str] | None = None) -> Self:
        if categories is not None:
            return cls(tuple(map(str, categories)))
        return cls(distinct(texts(values), min_count))

    @cached_property
    def rows(self) -> dict[str | None, int]:
        """Row of each category."""
        return {category: row for row, category in enumerate(self.categories, start=UNKNOWN + 1)}

    @property
    def size(self) -> int:
        return len(self.categories) + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Row numbers, (n,) int64."""
        found = map(self.rows.get, texts(values), repeat(UNKNOWN))
        return np.fromiter(found, dtype=np.int64, count=len(values))


@dataclass(frozen=True)
class MultiHot:
    """Several categories a row (genres), each with an embedding row.

    Rows are padded with PAD to the longest seen in fit; longer ones are cut. A row without any category is
    one unknown. Options as `Categories`.
    """

    categories: tuple[str, ...]
    length: int
    kind: ClassVar[Kind] = "ids"

    @classmethod
    def fit(cls, values: np.ndarray, *, min_count: int = 1, categories: Sequence[str] | None = None) -> Self:
        rows = labels(values)
        if categories is None:
            categories = distinct(chain.from_iterable(rows), min_count)
        return cls(tuple(map(str, categories)), max(map(len, rows), default=0) or 1)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each category."""
        return {category: row for row, category in enumerate(self.categories, start=UNKNOWN + 1)}

    @property
    def size(self) -> int:
        return len(self.categories) + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Row numbers, (n, length) int64."""
        get = self.rows.get
        rows = [[get(each, UNKNOWN) for each in row] or [UNKNOWN] for row in labels(values)]
        return padded(rows, self.length, PAD)


@dataclass(frozen=True)
class Hash:
    """Feature hashing (Weinberger et al., ICML 2009) of any column, numbers and lists included.

    Options: ``buckets``; ``salt`` (the column's name, or what it shares) keeps columns' collisions apart. The
    hash is BLAKE2b, the same on every machine. Lists are padded as `MultiHot` does.
    """

    buckets: int
    salt: str
    length: int | None
    """Of lists; None where each row is one value."""

    @classmethod
    def fit(cls, values: np.ndarray, *, buckets: int, salt: str) -> Self:
        if buckets < 1:
            raise FeatureError(f"buckets must be positive, not {buckets}")
        if not multi_label(values):
            return cls(buckets, salt, None)
        return cls(buckets, salt, max(map(len, labels(values)), default=0) or 1)

    @property
    def kind(self) -> Kind:
        return "id" if self.length is None else "ids"

    @property
    def size(self) -> int:
        return self.buckets + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Row numbers, int64: (n,), or (n, length) of lists."""
        if self.length is None:
            one = texts(values)
            bucket = {each: self._bucket(each) for each in dict.fromkeys(one)}
            return np.fromiter(map(bucket.__getitem__, one), dtype=np.int64, count=len(one))
        many = labels(values)
        bucket = {each: self._bucket(each) for each in dict.fromkeys(chain.from_iterable(many))}
        return padded([[bucket[each] for each in row] or [UNKNOWN] for row in many], self.length, PAD)

    def _bucket(self, text: str | None) -> int:
        if text is None:
            return UNKNOWN
        digest = hashlib.blake2b(f"{self.salt}={text}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % self.buckets + 1


@dataclass(frozen=True)
class OneHot:
    """A column of 0 and 1 for each category; the first is the unknown's. Option: ``min_count``."""

    categories: tuple[str, ...]
    kind: ClassVar[Kind] = "number"

    @classmethod
    def fit(cls, values: np.ndarray, *, min_count: int = 1) -> Self:
        return cls(distinct(texts(values), min_count))

    @cached_property
    def _ids(self) -> Categories:
        return Categories(self.categories)

    @property
    def size(self) -> int:
        return self._ids.size

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, size) float32."""
        out = np.zeros((len(values), self.size), dtype=np.float32)
        out[np.arange(len(values)), self._ids.encode(values)] = 1
        return out


@dataclass(frozen=True)
class Ordinal:
    """Place of an ordered category, from 0 (first) to 1 (last).

    Option ``order``: categories from low to high; by default numbers by size, texts by alphabet. Unknown ones
    stand at the fitted median.
    """

    places: dict[str, float]
    missing: float
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def fit(cls, values: np.ndarray, *, order: Sequence[object] | None = None) -> Self:
        seen = texts(values)
        ordered = [str(each) for each in order] if order is not None else _by_size(distinct(seen))
        places = {category: place / max(len(ordered) - 1, 1) for place, category in enumerate(ordered)}
        known = [places[each] for each in seen if each is not None and each in places]
        return cls(places, float(np.median(known)) if known else 0.0)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32 in [0, 1]."""
        return _looked_up(self.places, values, self.missing)


@dataclass(frozen=True)
class Frequency:
    """How common a category is: log(1 + its count) by that of the commonest; 0 for unknown ones."""

    shares: dict[str, float]
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        counts = Counter(each for each in texts(values) if each is not None)
        most = np.log1p(max(counts.values(), default=1))
        return cls({category: float(np.log1p(counts[category]) / most) for category in sorted(counts)})

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32 in [0, 1]."""
        return _looked_up(self.shares, values, 0.0)


def _looked_up(table: dict[str, float], values: np.ndarray, missing: float) -> np.ndarray:
    found = (missing if each is None else table.get(each, missing) for each in texts(values))
    return np.fromiter(found, dtype=np.float32, count=len(values))[:, None]


def _by_size(categories: Sequence[str]) -> list[str]:
    try:
        return sorted(categories, key=float)
    except ValueError:
        return list(categories)
