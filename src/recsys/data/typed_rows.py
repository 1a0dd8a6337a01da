"""Events as typed arrays, read a part of a file at a time: here, or by Apache Spark, a task a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsys.data.attributes import Attribute
from recsys.data.source import Source, check_rows, names_of, parts
from recsys.data.spec import ContextColumn, IdColumn, ImpressionFile, InteractionFile
from recsys.data.typed import ids, joint_ids, moments, numbers, values_of
from recsys.types import Engine

Arrays = Mapping[str, np.ndarray]
Events = InteractionFile | ImpressionFile
Reader = Callable[[Path, Sequence[str], Events, Mapping[str, str]], Iterator[tuple[int, Arrays]]]
"""Reads parts: arrays, and the number of the file that they are of."""
USER, ITEM, AT, TIME, FEEDBACK, CONTEXT, COUNTS = (
    "user",
    "item",
    "at",
    "time",
    "feedback:",
    "context:",
    "counts",
)
CODES, KNOWN, BAD, ODD = ":codes", ":known", ":bad", ":odd"
"""What belongs to one of those: rows in a list of ids, that list, which cells are bad, and some of these."""
ODD_CELLS = 1000
"""Bad moments of a part that are kept, to guess the unit that they are told in."""


@dataclass(frozen=True)
class TypedRows:
    """All rows of ``source``, in their order: by the names of `typed` columns, (n,) each."""

    source: Source
    arrays: Arrays

    def ids(self, side: str) -> tuple[np.ndarray, pd.Index]:
        """Codes (n,) int32, -1 where there is none, and the ids (distinct strings) that they stand for."""
        return self.arrays[side + CODES], pd.Index(self.arrays[side + KNOWN], dtype=object)

    @property
    def counts(self) -> np.ndarray:
        """Which impressions are `where` they are to be, (n,) bool."""
        return self.arrays[COUNTS]

    def times(self) -> tuple[np.ndarray, np.ndarray, pd.Series]:
        """int64 seconds (0 where bad), which are bad, and cells of some that are."""
        odd = pd.Series(self.arrays[TIME + ODD], dtype=object)
        return self.arrays[TIME], self.arrays[TIME + BAD], odd

    def feedback(self, name: str) -> np.ndarray:
        """float64, NaN where it is no number."""
        return self.arrays[FEEDBACK + name]

    def context(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """float64 with NaN or str with None, and which cells could not be read."""
        return self.arrays[CONTEXT + name], self.arrays[CONTEXT + name + BAD]


def read_rows(folder: Path, file: Events, columns: Mapping[str, str], engine: Engine) -> TypedRows:
    """All of ``file``; ``columns`` as `recsys.data.source.load` has them, DataError as there."""
    names = names_of(folder, file.file)
    lengths, read_parts = np.zeros(len(names), dtype=np.int64), []
    known: dict[str, dict[str, int]] = {side: {} for side in id_columns(file)}
    for number, arrays in _reader(engine)(folder, names, file, columns):
        lengths[number] += len(arrays[ITEM + CODES])
        read_parts.append(_numbered(arrays, known))
    check_rows(file, int(lengths.sum()))
    source = Source(file, folder, names, lengths.cumsum())
    ids_of = {side + KNOWN: np.array([*numbers_of], dtype=object) for side, numbers_of in known.items()}
    return TypedRows(source, _joined(read_parts) | ids_of)


def _reader(engine: Engine) -> Reader:
    if engine == "spark":
        from recsys.data import typed_rows_on_spark

        return typed_rows_on_spark.read
    return _read


def _read(
    folder: Path, names: Sequence[str], file: Events, columns: Mapping[str, str]
) -> Iterator[tuple[int, Arrays]]:
    for number, name in enumerate(names):
        for cells in parts(folder, name, file, columns):
            yield number, typed(cells, file)


def id_columns(file: Events) -> Mapping[str, tuple[IdColumn, ...]]:
    """By what their ids stand for; those of several columns are one id together."""
    if isinstance(file, ImpressionFile):
        return {ITEM: (file.item_id,), AT: _places(file)}
    sides = {USER: (file.columns.user_id,), ITEM: (file.columns.item_id,)}
    return sides if file.impressions is None else {**sides, AT: _places(file.impressions)}


def _places(file: ImpressionFile) -> tuple[IdColumn, ...]:
    return tuple(IdColumn(column=name) for name in file.at)


def typed(cells: pd.DataFrame, file: Events) -> Arrays:
    """Columns of a part by name, (n,) each but for lists of ids and odd cells."""
    arrays = dict[str, np.ndarray]()
    for side, of_ids in id_columns(file).items():
        codes, known = joint_ids([ids(cells[each.column], each) for each in of_ids])
        arrays |= {side + CODES: codes.astype(np.int32), side + KNOWN: known.to_numpy()}
    return arrays | (_counted(cells, file) if isinstance(file, ImpressionFile) else _told(cells, file))


def _counted(cells: pd.DataFrame, file: ImpressionFile) -> dict[str, np.ndarray]:
    counts = np.ones(len(cells), dtype=bool)
    for column, texts in file.where.items():
        codes, known = ids(cells[column], IdColumn(column=column))
        counts &= np.append(known.isin(texts), False)[codes]  # code -1, nothing told, is last
    return {COUNTS: counts}


def _told(cells: pd.DataFrame, file: InteractionFile) -> dict[str, np.ndarray]:
    roles, arrays = file.columns, dict[str, np.ndarray]()
    if roles.timestamp is not None:
        told = cells[roles.timestamp.column]
        arrays[TIME], bad = moments(told, roles.timestamp.unit)
        arrays |= {TIME + BAD: bad, TIME + ODD: told[bad][:ODD_CELLS].astype(str).to_numpy(dtype=object)}
    for name, feedback in file.feedback.items():
        arrays[FEEDBACK + name] = numbers(cells[feedback])[0]
    for name, context in roles.context.items():
        arrays |= _context(CONTEXT + name, cells, context)
    return arrays


def _context(name: str, cells: pd.DataFrame, column: ContextColumn) -> Arrays:
    values, troubles = values_of(cells, Attribute(name=column.column, type=column.type, encoder=""))
    bad = troubles[0].bad if troubles else np.zeros(len(cells), dtype=bool)
    return {name: values.to_numpy(), name + BAD: bad}


def _numbered(arrays: Arrays, known: Mapping[str, dict[str, int]]) -> dict[str, np.ndarray]:
    """The same with codes of all that is ``known`` so far, which its ids are added to."""
    told = dict(arrays)
    for side, numbers_of in known.items():
        places = [numbers_of.setdefault(each, len(numbers_of)) for each in told.pop(side + KNOWN)]
        told[side + CODES] = np.array([*places, -1], dtype=np.int32)[told[side + CODES]]  # -1, no id, is last
    return told


def _joined(read: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One after the other; parts give away what is joined, or all would be held twice."""
    return {name: np.concatenate([each.pop(name) for each in read]) for name in [*read[0]]}
