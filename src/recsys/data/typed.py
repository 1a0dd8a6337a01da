"""Cells -> typed columns, each with a mask of the rows where that failed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from recsys.data.attributes import Attribute
from recsys.data.report import DataError, Finding
from recsys.data.source import Source
from recsys.data.spec import IdColumn, TimeColumn

LATEST = 7_258_118_400
"""2200-01-01 in seconds: whatever is later was told in another unit."""
SHOWN = 3
"""Examples kept of each finding."""


class Checks:
    """Takes note of bad rows, and stops when they are more than ``limit`` of a file."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.findings: list[Finding] = []
        self._bad: Counter[tuple[str, str]] = Counter()

    def drop(self, source: Source, bad: np.ndarray, column: str, problem: str) -> None:
        """Rows ``bad`` (n,) bool of ``source`` are to be left out."""
        self._note(source, bad, column, problem, "dropped")

    def empty(self, source: Source, bad: np.ndarray, column: str, problem: str) -> None:
        """Cells of ``column`` in rows ``bad`` are taken as missing."""
        self._note(source, bad, column, problem, "emptied")

    def _note(self, source: Source, bad: np.ndarray, column: str, problem: str, action: str) -> None:
        count = int(bad.sum())
        if not count:
            return
        records = np.flatnonzero(bad)[:SHOWN]
        values = source.cells[column].iloc[records]
        examples = tuple(
            source.example(place, column, f"{value!r} {problem}")
            for place, value in zip(source.places(records), values.tolist(), strict=True)
        )
        # Rows left out add up over all checks of a file; emptied cells only over their column.
        key = (source.path.name, column if action == "emptied" else "")
        self._bad[key] += count
        if self._bad[key] > self.limit * len(source):
            share = f"{self._bad[key]:,} of {len(source):,} rows of the file are bad"
            raise DataError(f"{examples[0]}; {share}, more than bad_rows_limit {self.limit:g} allows")
        finding = {"file": source.path.name, "column": column, "problem": problem, "action": action}
        self.findings.append(Finding.model_validate({**finding, "count": count, "examples": examples}))


def ids(cells: pd.Series, column: IdColumn) -> tuple[np.ndarray, pd.Index]:
    """Codes (n,) int64, -1 where empty, and the ids (distinct strings) that they stand for."""
    codes, seen = pd.factorize(cells)
    texts = [_id(value).removeprefix(column.strip_prefix) for value in seen]
    again, distinct = pd.factorize(np.array(texts, dtype=object))
    known = np.array([bool(text) for text in distinct], dtype=bool)
    place = np.where(known, np.cumsum(known) - 1, -1)
    of_seen = np.concatenate([place[again], [-1]]).astype(np.int64)  # code -1, a null, stays -1
    return of_seen[codes], pd.Index(distinct[known], dtype=object)


def _id(value: object) -> str:
    # Parquet files with gaps hold whole numbers as floats: 17.0 is the id "17".
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def numbers(cells: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float64 values, which are missing (NaN), and which are there but no finite number (also NaN)."""
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    missing = np.zeros(len(cells), dtype=bool)
    others = cells[~finite]
    missing[~finite] = others.isna() | others.astype(str).str.strip().str.lower().isin(["", "nan"])
    return np.where(finite, values, np.nan), missing, ~finite & ~missing


def moments(cells: pd.Series, column: TimeColumn) -> tuple[np.ndarray, np.ndarray, str]:
    """int64 seconds (0 where bad), which rows are bad, and what a good one would be."""
    if column.unit == "iso":
        parsed = pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")
        seconds = parsed.dt.as_unit("s").astype("int64").to_numpy()
        bad = parsed.isna().to_numpy()
    else:
        values, missing, wrong = numbers(cells)
        bad = missing | wrong
        seconds = np.where(bad, 0, values) // {"s": 1, "ms": 1000}[column.unit]
    bad = bad | (seconds <= 0) | (seconds > LATEST)
    name = {"s": "seconds since 1970", "ms": "milliseconds since 1970", "iso": "ISO 8601"}[column.unit]
    return np.where(bad, 0, seconds).astype(np.int64), bad, f"is no moment from 1970 to 2200 in {name}"


def attribute(source: Source, given: Attribute, checks: Checks) -> pd.Series:
    """Values of an attribute: float64 with NaN, str with None, or lists of str; bad cells are emptied."""
    if given.flags:
        return _flags(source, given, checks)
    cells = source.cells[given.columns[0]]
    if given.extract is not None:
        cells = cells.astype(str).str.extract(given.extract, expand=False).fillna("")
    if given.kind == "number":
        values, _, wrong = numbers(cells)
        checks.empty(source, wrong, given.columns[0], "is not a number")
        return pd.Series(values)
    texts = [None if value is None or value != value or value == "" else _id(value) for value in cells]
    if given.separator is None:
        return pd.Series(texts, dtype=object)
    parts = [(text or "").split(given.separator) for text in texts]
    return pd.Series([[*dict.fromkeys(filter(None, map(str.strip, row)))] for row in parts], dtype=object)


def _flags(source: Source, given: Attribute, checks: Checks) -> pd.Series:
    met = np.zeros((len(source), len(given.flags)), dtype=bool)
    for place, column in enumerate(given.flags):
        values, _, wrong = numbers(source.cells[column])
        wrong |= np.isfinite(values) & (values != 0) & (values != 1)
        checks.empty(source, wrong, column, "is neither 0 nor 1")
        met[:, place] = values == 1
    names = np.array(given.flags, dtype=object)
    return pd.Series([names[row].tolist() for row in met], dtype=object)
