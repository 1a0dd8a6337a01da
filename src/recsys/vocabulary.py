"""External id <-> row number; the only converter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from recsys.types import PAD


@dataclass(frozen=True)
class Vocabulary:
    """Distinct ids, all of them strings; an id's place is its row number."""

    ids: pd.Index

    @classmethod
    def of(cls, ids: Iterable[object]) -> Vocabulary:
        """Ids in the order given; a repeated one raises ValueError."""
        index = pd.Index([str(each) for each in ids], dtype=object)
        if not index.is_unique:
            raise ValueError(f"id {index[index.duplicated()][0]!r} stands twice in the vocabulary")
        return cls(index)

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, ids: Iterable[object]) -> np.ndarray:
        """Row numbers, int64; PAD where an id is unknown."""
        wanted = pd.Index([str(each) for each in ids], dtype=object)
        return np.asarray(self.ids.get_indexer(wanted)).astype(np.int64)

    def row(self, id_: str) -> int:
        """Row number of one id, PAD where it is unknown."""
        return self._rows.get(id_, PAD)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id_: row for row, id_ in enumerate(self.ids.tolist())}

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Ids of ``rows``, None where PAD."""
        ids: np.ndarray = self.ids.to_numpy()[rows]
        ids[rows == PAD] = None
        return ids
