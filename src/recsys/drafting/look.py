"""Which files of a folder can be read, and how; which of them are parts of one table."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.report import DataError
from recsys.data.source import binary, text
from recsys.data.spec import FILE_NAME, Format
from recsys.drafting.column import Column

LOOKED_AT = 20_000
"""Rows of a file."""
HEAD = 1 << 16
"""Bytes of a file by which encoding and separator are told."""
SEPARATORS = ",\t;|"
TEXT, PARQUET = (".csv", ".tsv", ".txt", ".inter", ".user", ".item"), (".parquet",)
MAYBE_JSON_LINES = ".json"
JSON_LINES = (".jsonl", ".ndjson", MAYBE_JSON_LINES)
FORMATS: dict[str, Format] = {**dict.fromkeys(PARQUET, "parquet"), **dict.fromkeys(JSON_LINES, "jsonl")}
COMPRESSED = (".gz", ".bz2", ".lz4", ".zst")
HIDDEN = (".", "_")
"""Of files that hold no data: Spark leaves a _SUCCESS."""
NUMBER = re.compile(r"\d([\d_-]*\d)?")
"""In the name of a file: 7, 2026-11-23, 00001."""


@dataclass(frozen=True)
class Table:
    """A file that can be read, or several by the pattern of their names, and how."""

    file: str
    format: Format
    separator: str
    encoding: str
    columns: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0

    def id_of(self, things: Collection[str]) -> Column | None:
        """The first column with ids of ``things``."""
        return next((each for each in self.columns if each.is_id_of(things)), None)


def look(folder: Path) -> tuple[list[Table], list[str]]:
    """Tables of ``folder``, and names of the files that cannot be read; DataError where there is no table."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is no folder")
    tables, others = [], []
    for pattern, paths in _by_pattern(folder).items():
        found = [_table(path, str(path.relative_to(folder))) for path in {paths[0]: 0, paths[-1]: 0}]
        if found[0] is None:
            others += [path.name for path in paths]
        elif _are_one(folder, pattern, paths, found):
            tables.append(replace(found[0], file=pattern))
        else:
            told = (_table(path, str(path.relative_to(folder))) for path in paths)
            tables += [each for each in told if each is not None]
    if not tables:
        seen = f"; it has {', '.join(others)}" if others else ""
        kinds = ", ".join((*TEXT, *PARQUET, *JSON_LINES))
        raise DataError(f"{folder}: has no file that can be read ({kinds}){seen}")
    return tables, others


def _by_pattern(folder: Path) -> dict[str, list[Path]]:
    """Files whose names differ by a number only, or in one folder below, may be parts of one table."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith(HIDDEN):
            for part in sorted(path.iterdir()):
                if _is_data(part):
                    found.setdefault(f"{path.name}/*{''.join(_suffixes(part))}", []).append(part)
        elif _is_data(path):
            found.setdefault(NUMBER.sub("*", path.name), []).append(path)
    return found


def _is_data(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(HIDDEN) and path.name != FILE_NAME


def _are_one(folder: Path, pattern: str, paths: list[Path], found: list[Table | None]) -> bool:
    """Whether the first and the last have the same columns, and no other file has such a name."""
    names = [[column.name for column in table.columns] if table else [] for table in found]
    several = len(paths) > 1 or paths[0].parent != folder  # where more may come
    return several and names[0] == names[-1] and sorted(folder.glob(pattern)) == paths


def _suffixes(path: Path) -> list[str]:
    """What kind it is, and how it is compressed: .csv, .csv.gz."""
    suffixes = path.suffixes[-2:]
    return suffixes if suffixes and suffixes[-1].lower() in COMPRESSED else suffixes[-1:]


def _table(path: Path, name: str) -> Table | None:
    kind = next(iter(_suffixes(path)), "").lower()
    separator, encoding = ",", "utf-8"
    try:
        if kind in PARQUET:
            cells = _parquet(path)
        elif kind in JSON_LINES:
            try:
                cells = _json_lines(path)
            except ValueError:
                if kind == MAYBE_JSON_LINES:
                    return None
                raise
        elif kind in TEXT:
            cells, separator, encoding = _csv(path)
        else:
            return None
    except (OSError, ValueError, EOFError, pa.ArrowException) as error:
        raise DataError(f"{name}: cannot be read ({' '.join(str(error).split())})") from error
    columns = tuple(Column.of(str(each), cells[each]) for each in cells)
    return Table(name, FORMATS.get(kind, "csv"), separator, encoding, columns)


def _parquet(path: Path) -> pd.DataFrame:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=LOOKED_AT), None)
        names = file.schema_arrow.names
    return pd.DataFrame(columns=names) if batch is None else pd.DataFrame(batch.to_pandas())


def _json_lines(path: Path) -> pd.DataFrame:
    with text(path, "utf-8") as lines:
        rows = [json.loads(line) for line in islice(filter(str.strip, lines), LOOKED_AT)]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("each line must hold one object")
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, dtype=object)


def _csv(path: Path) -> tuple[pd.DataFrame, str, str]:
    with binary(path) as file:
        head = file.read(HEAD)
    encoding = _encoding(head)
    header = head.decode(encoding, errors="replace").partition("\n")[0]
    separator = max(SEPARATORS, key=header.count)
    with binary(path) as file:
        cells = pd.read_csv(
            file,
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
