"""Interactions on disk, in Parquet shards of whole users: a network learns from one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns
from recsys.artifacts import replacing_folder
from recsys.data.context import repeated
from recsys.data.draw import mix
from recsys.types import Interactions

BARE = (columns.USER_IDX, columns.ITEM_IDX, columns.TIMESTAMP, columns.VALUE)


@dataclass(frozen=True)
class Shards:
    """Interactions in files of ``folder``, every user's in one, drawn for each: a shard is a sample of users.

    ``rows`` are those of each shard. How often users and items are met in all of them say ``user_counts``
    (n_users,) and ``item_counts`` (n_items,) int64; ``newest`` is the last moment, in seconds. Labels, and
    what is observed of items, are not kept: no network that learns from shards reads them.
    """

    folder: Path
    rows: tuple[int, ...]
    user_counts: np.ndarray
    item_counts: np.ndarray
    newest: int
    seen_return: bool

    @classmethod
    def write(cls, parts: Iterable[Interactions], folder: Path, n: int) -> Self:
        """Put ``parts``, one in memory at a time, into ``n`` shards in a new ``folder``.

        Rows of one moment stay in the order in which they come. All files are open at once, so the system's
        limit of open files is one of shards. ValueError where there is no part, no shard, or a part is of
        other users, items or columns than the first.
        """
        if n < 1:
            raise ValueError(f"{n} shards hold nothing")
        rows, newest, like = np.zeros(n, dtype=np.int64), 0, None
        users = items = np.zeros(1, dtype=np.int64)
        with replacing_folder(folder) as new, ExitStack() as opened:
            writers: list[pq.ParquetWriter] = []
            for part in parts:
                if like is None:
                    like = part[:0]
                    writers += (opened.enter_context(each) for each in _writers(new, like, n))
                if (part.n_users, part.n_items) != (like.n_users, like.n_items):
                    raise ValueError("parts must number the same users and items")
                rows += _written(part, writers)
                users, items = users + part.user_counts, items + part.item_counts
                newest = max(newest, part.newest)
                del part  # before the next is made
        if like is None:
            raise ValueError("there is no part to write")
        return cls(folder, tuple(rows.tolist()), users, items, newest, like.seen_return)

    def __len__(self) -> int:
        return sum(self.rows)

    def read(self, shard: int) -> Interactions:
        """One shard: its rows in the order of time, the vocabularies whole."""
        table = pq.read_table(_path(self.folder, shard))
        order = np.argsort(table[columns.TIMESTAMP].to_numpy(), kind="stable")
        context = {
            name.removeprefix(columns.CONTEXT_PREFIX): repeated(table[name])[order]
            for name in table.column_names
            if name not in BARE
        }
        return Interactions(
            **{name: table[name].to_numpy()[order] for name in BARE},
            labels={},
            n_users=self.n_users,
            n_items=self.n_items,
            seen_return=self.seen_return,
            context=context,
        )

    def sample(self) -> Interactions:
        """The largest shard."""
        return self.read(int(np.argmax(self.rows)))

    @property
    def n_users(self) -> int:
        return len(self.user_counts)

    @property
    def n_items(self) -> int:
        return len(self.item_counts)


Train = Interactions | Shards
"""What a network learns from."""


@contextmanager
def sharded(past: Interactions, n: int) -> Iterator[Train]:
    """``past`` itself for 0, or ``n`` shards of it in a folder below TMPDIR that goes afterwards."""
    if not n:
        yield past
        return
    with TemporaryDirectory(prefix="shards-") as folder:
        train = Shards.write([past], Path(folder) / "past", n)
        del past  # which nobody else may need
        yield train


def _writers(folder: Path, like: Interactions, n: int) -> Iterator[pq.ParquetWriter]:
    schema = _table(like).schema
    for shard in range(n):
        yield pq.ParquetWriter(_path(folder, shard), schema, compression="zstd")


def _written(part: Interactions, writers: Sequence[pq.ParquetWriter]) -> np.ndarray:
    """Give each shard its rows of ``part``: how many they are, (shards,) int64."""
    of = (mix(part.user_idx) % np.uint64(len(writers))).astype(np.int64)
    counts = np.bincount(of, minlength=len(writers))
    table, start = _table(part).take(pa.array(np.argsort(of, kind="stable"))), 0
    for shard in np.flatnonzero(counts).tolist():
        writers[shard].write_table(table.slice(start, counts[shard]))
        start += counts[shard]
    return counts


def _path(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05d}.parquet"


def _table(part: Interactions) -> pa.Table:
    """Columns that a network reads, as numbers and texts."""
    context = {columns.context(name): told for name, told in part.context.items()}
    arrays = {name: getattr(part, name) for name in BARE} | context
    # By its type, for a column without a word in this part may have some in the next.
    text = {name: pa.string() for name, told in context.items() if told.dtype == object}
    return pa.table({name: pa.array(told, text.get(name)) for name, told in arrays.items()})
