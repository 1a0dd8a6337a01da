"""What the sequence channel reads of a history: one way for training and serving, numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys.artifacts import fingerprint, read_arrays, read_json, write_arrays, write_json
from recsys.features.gaps import NO_GAP, gap_buckets
from recsys.features.history import YEAR_LOG, HistoryEncoder
from recsys.types import DAY, Requests

if TYPE_CHECKING:
    from recsys.data.shards import Train


@dataclass(frozen=True)
class History:
    """The last items of one user, oldest first, as a request finds them.

    ``ids`` (l,) rows of the id embedding, ``values`` (l,) float32 0 to 1; buckets of time: ``gaps`` (l,)
    since the item before, ``between`` (l, l) items, ``since`` (l,) from each item to the request; ``age`` is
    the request's.
    """

    ids: np.ndarray
    values: np.ndarray
    gaps: np.ndarray
    between: np.ndarray
    since: np.ndarray
    age: float


@dataclass(frozen=True)
class SequenceInputs:
    """What train knew: the range of values, the newest moment, and which items.

    ``rows`` (n_items,) int64 are rows of the id embedding, 0 for an item that train has not met.
    """

    encoder: HistoryEncoder
    newest: int
    rows: np.ndarray

    @classmethod
    def fit(cls, train: Train, length: int) -> Self:
        rows = np.where(train.item_counts > 0, np.arange(1, train.n_items + 1), 0)
        return cls(HistoryEncoder.fit(train.sample(), length), train.newest, rows)

    @property
    def fingerprint(self) -> str:
        """Of what weights belong to."""
        return fingerprint({**self._told(), "rows": self.rows.tolist()})

    def of_request(self, requests: Requests, row: int) -> History | None:
        """Encode the history of request ``row``; None where it holds nothing that train has met."""
        past = requests.history
        own = slice(past.starts[row], past.ends[row])
        ids = self.rows[past.items[own]]
        known = ids > 0
        if not known.all():
            ids = ids[known]
        if not len(ids):
            return None
        last = slice(-self.encoder.length, None)
        moments, values = past.timestamps[own][known], past.values[own][known]
        gaps, moments = gaps_before(moments)[last], moments[last]
        return History(
            ids=ids[last],
            values=self.scaled(values[last]),
            gaps=gaps,
            between=gap_buckets(moments[:, None] - moments),
            since=gap_buckets(requests.now[row] - moments),
            age=float(self.ages(requests.now[row])),
        )

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Values between 0 and 1, as `HistoryEncoder` tells them."""
        low, high = self.encoder.low, self.encoder.high
        if high <= low:
            return np.ones(len(values), dtype=np.float32)
        return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)

    def ages(self, moments: np.ndarray) -> np.ndarray:
        """Tell how long before the newest event of train a request was, about 0 to 1; 0 after it."""
        days = np.maximum(self.newest - moments, 0) / DAY
        return np.asarray(np.log1p(days) / YEAR_LOG, dtype=np.float32)

    def save(self, folder: Path) -> None:
        write_json(folder / "inputs.json", self._told())
        write_arrays(folder / "inputs.npz", {"rows": self.rows})

    @classmethod
    def load(cls, folder: Path) -> Self:
        told = read_json(folder / "inputs.json")
        encoder = HistoryEncoder.from_json(told["history"])
        return cls(encoder, told["newest"], read_arrays(folder / "inputs.npz")["rows"])

    def _told(self) -> dict[str, Any]:
        return {"history": self.encoder.to_json(), "newest": self.newest}


def gaps_before(moments: np.ndarray) -> np.ndarray:
    """Bucket of how long each of one user's ``moments`` (n,) is after the one before."""
    gaps = np.full(len(moments), NO_GAP, dtype=np.int64)
    gaps[1:] = gap_buckets(np.diff(moments))
    return gaps
