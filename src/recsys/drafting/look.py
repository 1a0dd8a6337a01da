"""What files hold: their format, and of each column what it may be."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.report import DataError
from recsys.data.spec import FILE_NAME

LOOKED_AT = 20_000
"""Rows of a file."""
HEAD = 1 << 16
"""Bytes of a file by which encoding and separator are told."""
SEPARATORS = ",\t;|"
TEXT, PARQUET = (".csv", ".tsv", ".txt", ".inter", ".user", ".item"), (".parquet",)
NEARLY_ALL, OFTEN, SELDOM = 0.98, 0.2, 0.05
"""Shares of cells."""
SECONDS = (1e8, 7.2e9)
"""Moments from 1973 on: what is less may be any number."""
PER_MILLISECOND = 1000
ENDS = {"id", "ids", "key", "no", "nr", "number", "code", "token"}
"""Last words of the name of a column of ids."""
LABELS = "|;,"
"""What may stand between the labels of a cell."""
Unit = Literal["s", "ms", "iso"]


@dataclass(frozen=True, eq=False)
class Column:
    """A column as far as it was looked at; ``cells`` are strings, empty where nothing is known."""

    name: str
    cells: pd.Series

    @cached_property
    def words(self) -> list[str]:
        return words(self.name)

    @cached_property
    def filled(self) -> pd.Series:
        return self.cells[self.cells.str.strip() != ""]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Finite numbers (n,), None where some cell holds none."""
        values = pd.to_numeric(self.filled, errors="coerce").to_numpy(dtype=np.float64)
        found = values[np.isfinite(values)]
        return found if len(found) and len(found) >= NEARLY_ALL * len(values) else None

    @cached_property
    def distinct(self) -> int:
        return int(self.filled.nunique())

    @property
    def all_differ(self) -> bool:
        return len(self.filled) > 0 and self.distinct == len(self.cells)

    @property
    def is_yes_or_no(self) -> bool:
        return self.numbers is not None and set(np.unique(self.numbers)) <= {0.0, 1.0}

    @cached_property
    def unit(self) -> Unit | None:
        """In which its moments are told, None where it holds none."""
        if self.numbers is not None:
            middle = float(np.median(self.numbers))
            for unit, one in (("s", 1), ("ms", PER_MILLISECOND)):
                if SECONDS[0] * one <= middle <= SECONDS[1] * one:
                    return unit  # type: ignore[return-value]
            return None
        parsed = pd.to_datetime(self.filled, format="ISO8601", utc=True, errors="coerce")
        return "iso" if len(parsed) and parsed.notna().mean() >= NEARLY_ALL else None

    @cached_property
    def separator(self) -> str | None:
        """Between several labels of a cell: those between are short, and the same ones come back."""
        for each in LABELS:
            several = self.filled[self.filled.str.contains(each, regex=False)]
            if len(several) < OFTEN * len(self.filled) or not len(several):
                continue
            labels = several.str.split(each, regex=False).explode().str.strip()
            if labels.nunique() <= SELDOM * len(labels) + len(LABELS):
                return each
        return None

    def is_id_of(self, things: Collection[str]) -> bool:
        """Whether its name says that it holds ids of one of ``things``: user, user_id, user_id:token."""
        stem = [*self.words]
        while stem and stem[-1] in ENDS:
            stem.pop()
        return bool(stem) and stem[-1] in things and (len(stem) == 1 or len(stem) < len(self.words))

    def is_named(self, names: Collection[str]) -> bool:
        """Whether a word of its name is one of ``names``."""
        return bool(set(names).intersection(self.words))


@dataclass(frozen=True)
class Table:
    """A file that can be read, and how."""

    path: Path
    format: Literal["csv", "parquet"]
    separator: str
    encoding: str
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0

    def id_of(self, things: Collection[str]) -> Column | None:
        """The first column with ids of ``things``."""
        return next((each for each in self.columns if each.is_id_of(things)), None)


def words(name: str) -> list[str]:
    """Of a name, in lower case: userId, user_id and USER-ID are alike."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", parted) if word]


def look(folder: Path) -> tuple[list[Table], list[str]]:
    """Tables of ``folder``, and names of the files that cannot be read; DataError where there is no table."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder")
    tables, others = [], []
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.name.startswith(".") or path.name == FILE_NAME:
            continue
        table = _table(path)
        if table is None:
            others.append(path.name)
        else:
            tables.append(table)
    if not tables:
        found = f"; it has {', '.join(others)}" if others else ""
        raise DataError(f"{folder}: has no file that can be read ({', '.join((*TEXT, *PARQUET))}){found}")
    return tables, others


def _table(path: Path) -> Table | None:
    suffix = path.suffix.lower()
    try:
        if suffix in PARQUET:
            cells, separator, encoding = _parquet(path), ",", "utf-8"
        elif suffix in TEXT:
            cells, separator, encoding = _text(path)
        else:
            return None
    except (OSError, ValueError, pa.ArrowInvalid) as error:
        raise DataError(f"{path.name}: cannot be read ({' '.join(str(error).split())})") from error
    columns = tuple(Column(str(name), cells[name]) for name in cells)
    return Table(path, "parquet" if suffix in PARQUET else "csv", separator, encoding, columns)


def _parquet(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=LOOKED_AT), None)
        names = file.schema_arrow.names
    rows: pd.DataFrame = pd.DataFrame(columns=names) if batch is None else batch.to_pandas()
    return pd.DataFrame({name: rows[name].map(_told) for name in names})


def _told(cell: object) -> str:
    """A cell as it would stand in a text; whole numbers without a point."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None or cell is pd.NaT or (isinstance(cell, float) and cell != cell) else str(cell)


def _text(path: Path) -> tuple[pd.DataFrame, str, str]:
    with path.open("rb") as file:
        head = file.read(HEAD)
    encoding = _encoding(head)
    header = head.decode(encoding, errors="replace").partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    cells = pd.read_csv(
        path,
        sep=separator,
        encoding=encoding,
        dtype=str,
        keep_default_na=False,
        nrows=LOOKED_AT,
        on_bad_lines="skip",  # `recsys data check` tells of them
    )
    return cells.fillna(""), separator, encoding


def _encoding(head: bytes) -> str:
    if head.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    try:
        # The last character may be cut in two.
        head[: head.rfind(b"\n") + 1 or len(head)].decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"
