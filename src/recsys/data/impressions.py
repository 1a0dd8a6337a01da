"""What was shown to whoever was there, and passed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from recsys import columns
from recsys.data.events import keys_of, numbered, repeated_in
from recsys.data.listed import Listed
from recsys.data.report import DataError, TableCount
from recsys.data.spec import ImpressionFile
from recsys.data.typed import Checks, Rows
from recsys.data.typed_rows import AT, ITEM, read_rows
from recsys.types import Engine

MOST = 50_000_000
"""So many are made at most."""


@dataclass(frozen=True)
class Met:
    """Who met what, when and where: (n,) each, -1 in ``at`` where nobody knows."""

    users: np.ndarray
    items: np.ndarray
    timestamp: np.ndarray
    at: np.ndarray


@dataclass(frozen=True)
class Places:
    """Items that places show: (n,) each, pairs that differ, in the order of the places."""

    at: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, at: np.ndarray, items: np.ndarray) -> Self:
        """Put pairs in order, each once."""
        pairs = np.unique(at.astype(np.int64) << 32 | items)
        return cls((pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32))

    def passed_over(self, met: Met) -> Met:
        """What each user was shown in each place and did not meet there, of the moment when they came.

        OverflowError where that is more than `MOST`.
        """
        there = np.flatnonzero(met.at >= 0)
        keys = met.users[there].astype(np.int64) << 32 | met.at[there]
        visits, visit = np.unique(keys, return_inverse=True)
        came = np.full(len(visits), np.iinfo(np.int64).max)
        np.minimum.at(came, visit, met.timestamp[there])
        rows, seen = self._rows((visits & 0xFFFFFFFF).astype(np.int32))
        taken = visit.astype(np.int64) << 32 | met.items[there]
        left = ~np.isin(seen << 32 | self.items[rows], taken)
        rows, seen = rows[left], seen[left]
        return Met((visits[seen] >> 32).astype(np.int32), self.items[rows], came[seen], self.at[rows])

    def _rows(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of what each of ``places`` (n,) shows, one after the other, and whose each is."""
        begin, end = (np.searchsorted(self.at, places, side=side) for side in ("left", "right"))
        counts = end - begin
        if counts.sum() > MOST:
            raise OverflowError(f"{counts.sum():,} impressions, more than {MOST:,}")
        whose = np.repeat(np.arange(len(places)), counts)
        return np.arange(len(whose)) + (begin - counts.cumsum() + counts)[whose], whose


@dataclass(frozen=True)
class Shown:
    """Rows of a file of what was shown that count: ``at`` and ``items`` (n,).

    Places are numbered as interactions have them, items as ``item_ids`` are.
    """

    file: ImpressionFile
    at: np.ndarray
    items: np.ndarray
    item_ids: pd.Index

    @property
    def named(self) -> pd.Index:
        """Ids of what is shown."""
        return self.item_ids[np.unique(self.items)]

    def after(self, events: pd.DataFrame, at: np.ndarray, all_items: pd.Series) -> pd.DataFrame:
        """``events``, which were ``at`` (n,) those places, and then what was passed over in them.

        DataError where that is nothing, or too much.
        """
        met, name = Met(*keys_of(events), at), self.file.file
        try:
            found = Places.of(self.at, numbered(all_items, self.item_ids, self.items)).passed_over(met)
        except OverflowError as error:
            raise DataError(f"{name}: {error}; `where` says which of its rows count") from error
        if not len(found.users):
            told = ", ".join(map(repr, self.file.at))
            raise DataError(f"{name}: nobody was where it shows anything; is {told} told alike?")
        both = pd.concat([events, _without_interest(found, events)], ignore_index=True)
        later = both.index.to_numpy() >= len(events)  # of two of one moment what was met counts
        repeated = repeated_in(keys_of(both), np.ones(len(both), dtype=bool), later)
        return both[~repeated].reset_index(drop=True)


def shown_in(
    folder: Path,
    file: ImpressionFile,
    engine: Engine,
    checks: Checks,
    items: Listed,
    places: pd.Index,
    counts: list[TableCount],
) -> Shown:
    """Read ``file``; ``places`` are those that interactions name. DataError as `read_rows` raises it."""
    place = "interactions.impressions"
    wanted = dict.fromkeys(file.where, f"{place}.where") | dict.fromkeys(file.at, f"{place}.at")
    typed = read_rows(folder, file, wanted | {file.item_id.column: f"{place}.item_id"}, engine)
    rows = Rows(typed.source, checks)
    item_codes, item_ids = rows.with_ids(file.item_id, typed.ids(ITEM))
    items.drop_others(rows, file.item_id.column, item_codes, item_ids)
    at_codes, at = typed.ids(AT)
    counts.append(TableCount(file=file.file, rows=len(rows.good), kept=int((rows.good & typed.counts).sum())))
    known = np.append(places.get_indexer(at), -1)[at_codes]  # code -1, no place, is last
    counted = np.flatnonzero(rows.good & typed.counts & (known >= 0))
    return Shown(file, known[counted], item_codes[counted], item_ids)


def _without_interest(passed_over: Met, events: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``events`` of what was only shown: no value, no label; of all else nothing is known."""
    n = len(passed_over.users)
    told = {
        columns.USER_IDX: passed_over.users,
        columns.ITEM_IDX: passed_over.items,
        columns.TIMESTAMP: passed_over.timestamp,
    }
    for name, kind in events.drop(columns=[*told]).dtypes.items():
        known = not str(name).startswith((columns.CONTEXT_PREFIX, columns.OBSERVED_PREFIX))
        nothing = 0 if known else None if kind == "object" else np.nan
        told[str(name)] = np.full(n, nothing, dtype=kind)
    return pd.DataFrame({name: pd.Series(each, dtype=each.dtype) for name, each in told.items()}, copy=False)
