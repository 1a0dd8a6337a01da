"""Files of a data set as they stand: every cell of a CSV a string, so that a bad one can be shown."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.report import DataError
from recsys.data.spec import File


@dataclass(frozen=True)
class Source:
    """A file as read: ``cells`` holds the columns asked for, under their names in the file."""

    file: File
    path: Path
    cells: pd.DataFrame

    def __len__(self) -> int:
        return len(self.cells)

    def places(self, records: np.ndarray) -> list[int]:
        """Tell where ``records`` (ascending, from 0) stand.

        That is the line of a CSV file, whose header is line 1, or the row of a Parquet file, from 1.
        """
        if self.file.format == "parquet":
            return [int(record) + 1 for record in records]
        if not self.file.quoting:
            return [int(record) + 2 for record in records]
        return self._lines(records)

    def _lines(self, records: np.ndarray) -> list[int]:
        """Read again, for a quoted cell may go over several lines."""
        wanted, lines, before = set(records.tolist()), [], 0
        with self.path.open(encoding=self.file.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=self.file.separator)
            for record, _ in enumerate(reader, start=-1):
                if record in wanted:
                    lines.append(before + 1)
                    if len(lines) == len(wanted):
                        break
                before = reader.line_num
        return lines

    def example(self, place: int, column: str, told: str) -> str:
        """One line that names file, row and column."""
        return f"{self.path.name}: row {place}, column {column!r}: {told}"


def read_source(folder: Path, file: File, columns: Mapping[str, str]) -> Source:
    """``file`` in ``folder``; ``columns`` maps a column to the field of ``dataset.yaml`` that names it.

    DataError where the file is missing, empty or malformed, or has no such column.
    """
    path = folder / file.file
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    has = _header(path, file)
    for column, field in columns.items():
        if column not in has:
            raise DataError(
                f"{path.name}: has no column {column!r} ({field}); it has {', '.join(map(repr, has))}"
            )
    cells = _read(path, file, columns)
    if not len(cells):
        raise DataError(f"{path.name}: is empty: it has a header but no rows")
    return Source(file, path, cells)


def _header(path: Path, file: File) -> list[str]:
    try:
        if file.format == "parquet":
            return [str(name) for name in pq.read_schema(path).names]
        return [str(name) for name in pd.read_csv(path, nrows=0, **_csv_options(file)).columns]
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path.name}: is empty") from error
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeError, LookupError) as error:
        raise _unreadable(path, file, error) from error


def _read(path: Path, file: File, columns: Iterable[str]) -> pd.DataFrame:
    try:
        if file.format == "parquet":
            return pd.read_parquet(path, columns=list(columns))
        # All columns are read, since pandas cuts rows that are too long as soon as some are chosen; and
        # blank lines are kept as (bad) rows, or every row number after one would be wrong.
        cells: pd.DataFrame = pd.read_csv(path, skip_blank_lines=False, **_csv_options(file))
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeError, LookupError) as error:
        raise _unreadable(path, file, error) from error
    if not isinstance(cells.index, pd.RangeIndex):  # pandas takes what is too much for row names
        raise DataError(f"{path.name}: its rows have more cells than its header has columns")
    return cells[list(columns)].fillna("")


def _csv_options(file: File) -> dict[str, Any]:
    quoting = csv.QUOTE_MINIMAL if file.quoting else csv.QUOTE_NONE
    kept = {"dtype": str, "keep_default_na": False}
    return {"sep": file.separator, "quoting": quoting, "encoding": file.encoding, **kept}


def _unreadable(path: Path, file: File, error: Exception) -> DataError:
    return DataError(f"{path.name}: cannot be read as {file.format}: {' '.join(str(error).split())}")
