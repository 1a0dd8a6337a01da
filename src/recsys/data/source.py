"""Files of a data set as they stand: every cell of a CSV a string, so that a bad one can be shown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.report import DataError
from recsys.data.spec import File

ROWS = 1 << 18
"""Rows of a file that are read at once."""
UNREADABLE = (pa.ArrowException, pd.errors.ParserError, UnicodeError, LookupError, EOFError, OSError)
"""What reading a damaged file raises."""


@dataclass(frozen=True)
class Source:
    """A file, or several of one pattern, in the order of their names, as if they were one.

    File i of ``names``, all in ``folder``, has its rows up to ``ends[i]``.
    """

    file: File
    folder: Path
    names: Sequence[str]
    ends: np.ndarray

    def __len__(self) -> int:
        return int(self.ends[-1])

    @property
    def name(self) -> str:
        """As ``dataset.yaml`` has it."""
        return self.file.file

    def examples(self, records: np.ndarray, column: str, problem: str) -> tuple[str, ...]:
        """A line for each of ``records`` (ascending, from 0): file, row, column, and what is wrong there."""
        cells = self._cells(records, column)
        return tuple(
            f"{name}: row {row}, column {column!r}: {cell!r} {problem}"
            for (name, row), cell in zip(self._places(records), cells, strict=True)
        )

    def _cells(self, records: np.ndarray, column: str) -> list[Any]:
        """Read them again."""
        found: list[Any] = []
        for name, own in self._by_file(records):
            begin = 0
            for cells in parts(self.folder, name, self.file, {column: column}):
                end = begin + len(cells)
                inside = own[(own >= begin) & (own < end)] - begin
                found += cells[column].iloc[inside].tolist()
                begin = end
                if begin > own[-1]:
                    break
        return found

    def _places(self, records: np.ndarray) -> Iterator[tuple[str, int]]:
        """File and row of each: the line of a text (a CSV's header is line 1), the row of Parquet from 1."""
        for name, own in self._by_file(records):
            yield from ((name, row) for row in _rows(self.folder / name, self.file, own))

    def _by_file(self, records: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        files, begins = np.searchsorted(self.ends, records, side="right"), np.append(0, self.ends)
        for number in np.unique(files):
            yield self.names[number], records[files == number] - begins[number]


@dataclass(frozen=True)
class Loaded(Source):
    """One that is held as a whole: ``cells`` of the columns asked for, under their names in the file."""

    cells: pd.DataFrame

    def _cells(self, records: np.ndarray, column: str) -> list[Any]:
        return list(self.cells[column].iloc[records])


def load(folder: Path, file: File, columns: Mapping[str, str]) -> Loaded:
    """``file`` in ``folder``; ``columns`` maps a column to the field of ``dataset.yaml`` that names it.

    DataError where a file is missing, empty or malformed, or has no such column.
    """
    names = names_of(folder, file.file)
    each = [list(parts(folder, name, file, columns)) for name in names]
    read = [cells for own in each for cells in own]
    ends = np.cumsum([sum(map(len, own)) for own in each])
    check_rows(file, int(ends[-1]))
    return Loaded(file, folder, names, ends, pd.concat(read, ignore_index=True) if len(read) > 1 else read[0])


def check_rows(file: File, n: int) -> None:
    """DataError where there are none."""
    if not n:
        raise DataError(f"{file.file}: is empty: it has a header but no rows")


def names_of(folder: Path, pattern: str) -> Sequence[str]:
    """One file, or all that a pattern with ``*`` names."""
    if "*" not in pattern:
        if not (folder / pattern).is_file():
            raise DataError(f"{folder / pattern}: there is no such file")
        return [pattern]
    found = [name for name in sorted(glob(pattern, root_dir=folder)) if (folder / name).is_file()]
    if not found:
        raise DataError(f"{folder / pattern}: no file has such a name")
    return found


def parts(folder: Path, name: str, file: File, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    """Cells of one file, `ROWS` rows at a time; DataError as `load` raises it."""
    path = folder / name
    try:
        if file.format == "jsonl":
            yield from _json_lines(path, name, columns)
            return
        has = _header(path, file)
        for column, field in columns.items():
            if column not in has:
                raise _no_column(name, column, field, has)
        yield from _parquet(path, columns) if file.format == "parquet" else _csv(path, name, file, columns)
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{name}: is empty") from error
    except UNREADABLE as error:
        told = " ".join(str(error).split())
        raise DataError(f"{name}: cannot be read as {file.format}: {told}") from error


def _parquet(path: Path, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as opened:
        for batch in opened.iter_batches(ROWS, columns=list(columns)):
            # As floats, which pandas makes of whole numbers with gaps, long ids would not be exact.
            yield pa.Table.from_batches([batch]).to_pandas(integer_object_nulls=True)


def _csv(path: Path, name: str, file: File, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    # All columns are read, since pandas cuts rows that are too long as soon as some are chosen; and blank
    # lines are kept as (bad) rows, or every row number after one would be wrong.
    how = {"skip_blank_lines": False, "chunksize": ROWS, **_csv_options(file)}
    with binary(path) as opened:
        for cells in pd.read_csv(opened, **how):
            if not isinstance(cells.index, pd.RangeIndex):  # pandas takes what is too much for row names
                raise DataError(f"{name}: its rows have more cells than its header has columns")
            yield cells[list(columns)].fillna("").reset_index(drop=True)


def _header(path: Path, file: File) -> list[str]:
    if file.format == "parquet":
        return [str(name) for name in pq.read_schema(path).names]
    with binary(path) as opened:
        return [str(name) for name in pd.read_csv(opened, nrows=0, **_csv_options(file)).columns]


def _json_lines(path: Path, name: str, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    """One object a line; a key that it does not have is a missing cell, one that none has is an error."""
    has: dict[str, None] = {}
    with text(path, "utf-8") as lines:
        for some in _batched(_filled(lines), ROWS):
            told = [_object(line, f"{name}: row {row}") for row, line in some]
            for each in told:
                has |= dict.fromkeys(each)
            cells = {column: [each.get(column) for each in told] for column in columns}
            yield pd.DataFrame(cells, dtype=object)
    for column, field in columns.items():
        if has and column not in has:
            raise _no_column(name, column, field, has)


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: is not JSON: {error}") from error
    if not isinstance(told, dict):
        raise DataError(f"{place}: is no JSON object, with a name for each of its values")
    return told


def _batched(rows: Iterable[tuple[int, str]], n: int) -> Iterator[list[tuple[int, str]]]:
    """Cut ``rows`` into lists of ``n``."""
    left = iter(rows)
    while some := list(islice(left, n)):
        yield some


def _rows(path: Path, file: File, records: np.ndarray) -> list[int]:
    """Rows of ``records`` in one file."""
    if file.format == "parquet":
        return [int(record) + 1 for record in records]
    if file.format == "csv" and not file.quoting:
        return [int(record) + 2 for record in records]
    # Read again: a quoted cell may go over several lines, and what is between JSON's may be blank.
    with text(path, "utf-8" if file.format == "jsonl" else file.encoding) as lines:
        numbers = _filled(lines) if file.format == "jsonl" else _quoted(lines, file.separator)
        wanted, found = set(records.tolist()), []
        for record, (row, _) in enumerate(numbers):
            if record in wanted:
                found.append(row)
                if len(found) == len(wanted):
                    break
    return found


def _filled(lines: TextIO) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, and their numbers from 1."""
    return ((number, line) for number, line in enumerate(lines, start=1) if not line.isspace())


def _quoted(lines: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Records after the header, and the number of the line at which each begins."""
    reader = csv.reader(lines, delimiter=separator)
    next(reader)
    before = reader.line_num
    for record in reader:
        yield before + 1, record
        before = reader.line_num


def binary(path: Path) -> pa.NativeFile:
    """What is in a file, which may be compressed: .gz, .bz2, .lz4, .zst."""
    return pa.input_stream(str(path), compression="detect")


def text(path: Path, encoding: str) -> TextIO:
    """Read it as text, line ends as they stand."""
    return io.TextIOWrapper(binary(path), encoding=encoding, newline="")


def _csv_options(file: File) -> dict[str, Any]:
    quoting = csv.QUOTE_MINIMAL if file.quoting else csv.QUOTE_NONE
    kept = {"dtype": str, "keep_default_na": False}
    return {"sep": file.separator, "quoting": quoting, "encoding": file.encoding, **kept}


def _no_column(name: str, column: str, field: str, has: Iterable[str]) -> DataError:
    return DataError(f"{name}: has no column {column!r} ({field}); it has {', '.join(map(repr, has))}")
