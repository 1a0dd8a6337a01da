"""`Dataset`: a data set in the one canonical form that every later stage reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys import columns
from recsys.artifacts import ArtifactError, read_json, replacing_folder, sha256, write_json
from recsys.data.clean import Tables
from recsys.data.context import repeated
from recsys.data.draw import draw, mix
from recsys.data.report import DataReport
from recsys.data.spec import FILE_NAME, DatasetSpec
from recsys.data.split import Fold, FoldName, Split, make_splits, warmth
from recsys.types import Interactions
from recsys.vocabulary import Vocabulary

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Dataset:
    """Interactions, users and items of a data set, and how it is split.

    Row i of ``users`` and ``items`` is user_idx and item_idx i: its id, the title (items) and the
    attributes (float64 with NaN, str with None, or list of str). ``events`` are all interactions in
    the order of time, ties in a seeded random order; ``positive`` (n,) bool says which show interest.
    """

    spec: DatasetSpec
    users: pd.DataFrame
    items: pd.DataFrame
    events: Interactions
    positive: np.ndarray
    splits: Mapping[str, Split]
    report: DataReport
    seed: int
    sample: float

    @classmethod
    def of(
        cls,
        spec: DatasetSpec,
        tables: Tables,
        report: DataReport,
        splits: Mapping[str, Split],
        seed: int,
        sample: float,
    ) -> Self:
        """Put clean tables in order.

        Rows of one moment are ordered by a random number that only the seed and the row itself decide.
        An order of ids or of the file could be learned and would pass for foresight; and a number drawn
        for a place would let rows of the future stir those of the past.
        """
        order = _order(tables, seed)
        events = {str(name): told.to_numpy()[order] for name, told in tables.events.items()}
        return cls(
            spec=spec,
            users=tables.users,
            items=tables.items,
            events=_interactions(events, spec, len(tables.users), len(tables.items)),
            positive=events[columns.POSITIVE],
            splits=splits,
            report=report,
            seed=seed,
            sample=sample,
        )

    @cached_property
    def interactions(self) -> Interactions:
        """The positive ones: what channels learn from and lists are judged by."""
        return self.events[self.positive]

    @cached_property
    def user_vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self.users[columns.USER_ID])

    @cached_property
    def item_vocabulary(self) -> Vocabulary:
        return Vocabulary.of(self.items[columns.ITEM_ID])

    def fold(self, split: str, fold: FoldName) -> Fold:
        """Fold ``late``, ``valid`` or ``test`` of a split; KeyError where the data set has no such split."""
        return self.splits[split].fold(self.interactions, fold)

    def user_codes(self, attribute: str | None) -> np.ndarray | None:
        """A number for each value of the users' ``attribute``, (n_users,) int64, -1 where it is not told."""
        if attribute is None:
            return None
        return np.asarray(pd.factorize(self.users[attribute].astype("string"))[0])

    def warmth(self, past: Interactions, entity: Literal["user", "item"], rows: np.ndarray) -> np.ndarray:
        """Tell whether each of ``rows`` is hot in ``past``, warm (only described) or cold, as is PAD."""
        table, met = (self.users, past.user_idx) if entity == "user" else (self.items, past.item_idx)
        described = np.zeros(len(table) + 1, dtype=bool)  # the last row is PAD's
        for attribute in self.spec.attributes(entity):
            described[:-1] |= table[attribute.name].map(_is_told).to_numpy(dtype=bool)
        counts = np.bincount(met, minlength=len(table) + 1)
        return warmth(counts[rows], described[rows])

    def save(self, folder: Path) -> None:
        """Write Parquet and JSON files; the same data set gives the same bytes."""
        with replacing_folder(folder) as new:
            _write(new / "interactions.parquet", self._canonical())
            _write(new / "users.parquet", pa.Table.from_pandas(self.users, preserve_index=False))
            _write(new / "items.parquet", pa.Table.from_pandas(self.items, preserve_index=False))
            self.spec.write(new / FILE_NAME)
            write_json(new / "report.json", self.report.model_dump(mode="json"))
            files = {path.name: sha256(path) for path in sorted(new.iterdir())}
            splits = {name: split.model_dump(exclude_none=True) for name, split in self.splits.items()}
            made = {"seed": self.seed, "sample": self.sample, "splits": splits}
            write_json(new / MANIFEST, {"files": files, **made})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; ArtifactError where a file is missing or was changed."""
        manifest = read_json(folder / MANIFEST)
        for name, digest in manifest["files"].items():
            if not (folder / name).exists() or sha256(folder / name) != digest:
                raise ArtifactError(f"{folder / name}: is missing or was changed; prepare the data set again")
        spec = DatasetSpec.read(folder / FILE_NAME)
        users, items = _read_entities(folder / "users.parquet"), _read_entities(folder / "items.parquet")
        events = _read_events(folder / "interactions.parquet", users, items)
        return cls(
            spec=spec,
            users=users,
            items=items,
            events=_interactions(events, spec, len(users), len(items)),
            positive=events[columns.POSITIVE],
            splits=make_splits(manifest["splits"]),
            report=DataReport.model_validate(read_json(folder / "report.json")),
            seed=manifest["seed"],
            sample=manifest["sample"],
        )

    def _canonical(self) -> pa.Table:
        """Make the table of interactions with ids, not row numbers: as dictionaries they cost no more."""
        ids = {
            columns.USER_ID: (self.events.user_idx, self.users[columns.USER_ID]),
            columns.ITEM_ID: (self.events.item_idx, self.items[columns.ITEM_ID]),
        }
        return pa.table(
            {
                **{
                    name: pa.DictionaryArray.from_arrays(rows, pa.array(known))
                    for name, (rows, known) in ids.items()
                },
                columns.TIMESTAMP: self.events.timestamp,
                columns.VALUE: self.events.value,
                columns.POSITIVE: self.positive,
                **{columns.label(task): label for task, label in self.events.labels.items()},
                **{columns.context(name): pa.array(told) for name, told in self.events.context.items()},
                **{columns.observed(name): told for name, told in self.events.observed.items()},
            }
        )


def _order(tables: Tables, seed: int) -> np.ndarray:
    """Positions of the events by time, ties by chance."""
    events = tables.events
    user = draw(pd.Index(tables.users[columns.USER_ID]), seed)[events[columns.USER_IDX]]
    item = draw(pd.Index(tables.items[columns.ITEM_ID]), seed)[events[columns.ITEM_IDX]]
    moment = events[columns.TIMESTAMP].to_numpy()
    return np.lexsort([mix(user, item, moment), moment])


def _interactions(
    events: Mapping[str, np.ndarray], spec: DatasetSpec, n_users: int, n_items: int
) -> Interactions:
    return Interactions(
        user_idx=events[columns.USER_IDX],
        item_idx=events[columns.ITEM_IDX],
        timestamp=events[columns.TIMESTAMP],
        value=events[columns.VALUE],
        labels={task: events[columns.label(task)] for task in spec.tasks},
        n_users=n_users,
        n_items=n_items,
        seen_return=spec.seen_items_return,
        context={name: events[columns.context(name)] for name in spec.interactions.columns.context},
        observed={name: events[columns.observed(name)] for name in spec.interactions.observed},
    )


def _is_told(value: Any) -> bool:
    """Whether an attribute's value says anything."""
    return bool(value) if isinstance(value, list) else value is not None and value == value


def _write(path: Path, table: pa.Table) -> None:
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def _read_entities(path: Path) -> pd.DataFrame:
    """Texts and lists as Python's own: pandas would turn None to NaN and lists to arrays."""
    table = pq.read_table(path)
    return pd.DataFrame({name: _plain(table[name]) for name in table.column_names})


def _plain(column: pa.ChunkedArray) -> Any:
    if pa.types.is_floating(column.type):
        return column.to_numpy()
    return pd.Series(column.to_pylist(), dtype=object)


def _read_events(path: Path, users: pd.DataFrame, items: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns of interactions, one after the other: all as Arrow's and as numpy's would be twice as much."""
    ids = {columns.USER_ID: (columns.USER_IDX, users), columns.ITEM_ID: (columns.ITEM_IDX, items)}
    events = {}
    with pq.ParquetFile(path) as file:
        for name in file.schema_arrow.names:
            column = file.read([name])[name]
            if name in ids:
                idx_column, entities = ids[name]
                events[idx_column] = _rows_of(column, pd.Index(entities[name]))
            elif name.startswith(columns.CONTEXT_PREFIX):
                events[name] = repeated(column)
            else:
                events[name] = column.to_numpy()
    return events


def _rows_of(column: pa.ChunkedArray, entities: pd.Index) -> np.ndarray:
    """Where the ids of a dictionary column stand among ``entities``, (n,) int32."""
    ids = column.unify_dictionaries().combine_chunks()
    rows = entities.get_indexer(pd.Index(ids.dictionary.to_pylist(), dtype=object)).astype(np.int32)
    return np.asarray(rows[ids.indices.to_numpy()])
