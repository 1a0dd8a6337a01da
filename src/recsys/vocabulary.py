"""External id <-> row number; the only converter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys.types import PAD


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Distinct ids, all of them strings; an id's place is its row number."""

    ids: np.ndarray

    @classmethod
    def of(cls, ids: Iterable[object]) -> Vocabulary:
        """Ids in the order given; a repeated one raises ValueError."""
        names = [str(each) for each in ids]
        if len(set(names)) < len(names):
            met: set[str] = set()
            repeated = next(name for name in names if name in met or met.add(name))  # type: ignore[func-returns-value]
            raise ValueError(f"id {repeated!r} stands twice in the vocabulary")
        return cls(np.array(names, dtype=object))

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, ids: Iterable[object]) -> np.ndarray:
        """Row numbers, int64; PAD where an id is unknown."""
        rows = self._rows
        return np.fromiter((rows.get(str(each), PAD) for each in ids), dtype=np.int64)

    def row(self, id_: str) -> int:
        """Row number of one id, PAD where it is unknown."""
        return self._rows.get(id_, PAD)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids.tolist())}

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Ids of ``rows``, None where PAD."""
        ids: np.ndarray = self.ids[rows]
        ids[rows == PAD] = None
        return ids
