"""Interactions on disk, in Parquet shards of whole users: a network learns from one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns
from recsys.artifacts import replacing_folder
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
        """Put ``parts``, none of which is kept but the first, into ``n`` shards in a new ``folder``.

        Rows of one moment stay in the order in which they come. ValueError where there is no part, no shard,
        or a part numbers users or items otherwise than the one before.
        """
        if n < 1:
            raise ValueError(f"{n} shards hold nothing")
        parts = iter(parts)
        if (first := next(parts, None)) is None:
            raise ValueError("there is no part to write")
        rows, newest = np.zeros(n, dtype=np.int64), 0
        users, items = np.zeros((2, 1), dtype=np.int64)
        with replacing_folder(folder) as new, ExitStack() as opened:
            writers = [opened.enter_context(each) for each in _writers(new, _table(first).schema, n)]
            for part in chain([first], parts):
                if (part.n_users, part.n_items) != (first.n_users, first.n_items):
                    raise ValueError("parts must number the same users and items")
                of = mix(part.user_idx) % np.uint64(n)
                table = _table(part)
                for shard, writer in enumerate(writers):
                    writer.write_table(table.filter(pa.array(of == shard)))
                rows += np.bincount(of.astype(np.int64), minlength=n)
                users, items = users + part.user_counts, items + part.item_counts
                newest = max(newest, part.newest)
        return cls(folder, tuple(rows.tolist()), users, items, newest, first.seen_return)

    def __len__(self) -> int:
        return sum(self.rows)

    def __getitem__(self, shard: int) -> Interactions:
        """Read one: its rows in the order of time, the vocabularies whole."""
        table = pq.read_table(_path(self.folder, shard))
        order = np.argsort(table[columns.TIMESTAMP].to_numpy(), kind="stable")
        told = {name: table[name].to_numpy()[order] for name in table.column_names}
        bare = {name: told.pop(name) for name in BARE}
        context = {name.removeprefix(columns.CONTEXT_PREFIX): each for name, each in told.items()}
        return Interactions(
            **bare,
            labels={},
            n_users=self.n_users,
            n_items=self.n_items,
            seen_return=self.seen_return,
            context=context,
        )

    @property
    def some(self) -> Interactions:
        """The largest shard."""
        return self[int(np.argmax(self.rows))]

    @property
    def n_users(self) -> int:
        return len(self.user_counts)

    @property
    def n_items(self) -> int:
        return len(self.item_counts)


Train = Interactions | Shards
"""What a network learns from."""


@contextmanager
def streamed(past: Interactions, shards: int) -> Iterator[Train]:
    """``past`` itself for 0, or so many ``shards`` of it in a folder below TMPDIR that goes afterwards."""
    if not shards:
        yield past
        return
    with TemporaryDirectory(prefix="shards-") as folder:
        train = Shards.write([past], Path(folder) / "past", shards)
        del past  # which nobody else may need
        yield train


def _writers(folder: Path, schema: pa.Schema, n: int) -> Iterator[pq.ParquetWriter]:
    for shard in range(n):
        yield pq.ParquetWriter(_path(folder, shard), schema, compression="zstd")


def _path(folder: Path, shard: int) -> Path:
    return folder / f"{shard:05d}.parquet"


def _table(part: Interactions) -> pa.Table:
    """Columns that a network reads, as numbers and texts."""
    context = {columns.context(name): told for name, told in part.context.items()}
    arrays = {name: getattr(part, name) for name in BARE} | context
    # By its type, for a column without a word in this part may have some in the next.
    text = {name: pa.string() for name, told in context.items() if told.dtype == object}
    return pa.table({name: pa.array(told, text.get(name)) for name, told in arrays.items()})
