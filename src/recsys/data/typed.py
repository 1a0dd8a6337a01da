"""Cells -> typed columns, each with a mask of the rows where that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from recsys.data.attributes import Attribute
from recsys.data.report import DataError, Finding
from recsys.data.source import Loaded, Source
from recsys.data.spec import IdColumn, Unit

LATEST = 7_258_118_400
"""2200-01-01 in seconds: whatever is later was told in another unit."""
SHOWN = 3
"""Examples kept of each finding."""
UNITS: Mapping[Unit, str] = {"s": "seconds since 1970", "ms": "milliseconds since 1970", "iso": "ISO 8601"}
"""Of moments, in words."""
BETWEEN = "\x1f"
"""Stands between the ids that are one together."""
YES_OR_NO = {"true": 1.0, "false": 0.0}
NO_NUMBER = "is not a number"
AS_CATEGORY = "an attribute of texts is one without `type: number`"


class Checks:
    """Takes note of bad rows, and stops when they are more than ``limit`` of a file."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.findings: list[Finding] = []
        self._bad: Counter[tuple[str, str]] = Counter()

    def drop(self, source: Source, bad: np.ndarray, column: str, problem: str, advice: str) -> None:
        """Rows ``bad`` (n,) bool of ``source`` are to be left out; ``advice``: what may be done."""
        self._note(source, bad, column, problem, advice, "dropped")

    def empty(self, source: Source, bad: np.ndarray, column: str, problem: str, advice: str) -> None:
        """Cells of ``column`` in rows ``bad`` are taken as missing."""
        self._note(source, bad, column, problem, advice, "emptied")

    def _note(
        self, source: Source, bad: np.ndarray, column: str, problem: str, advice: str, action: str
    ) -> None:
        count = int(bad.sum())
        if not count:
            return
        examples = source.examples(np.flatnonzero(bad)[:SHOWN], column, problem)
        # Rows left out add up over all checks of a file; emptied cells only over their column.
        key = (source.name, column if action == "emptied" else "")
        self._bad[key] += count
        if self._bad[key] > self.limit * len(source):
            share = f"{self._bad[key]:,} of {len(source):,} rows of the file are bad"
            limit = f"more than bad_rows_limit {self.limit:g} allows"
            raise DataError(f"{examples[0]}; {share}, {limit}; {advice}")
        finding = {"file": source.name, "column": column, "problem": problem, "action": action}
        told = {**finding, "count": count, "examples": examples, "advice": advice}
        self.findings.append(Finding.model_validate(told))


@dataclass
class Rows:
    """Rows of a file that are still good; a row is counted by the first check that it fails."""

    source: Source
    checks: Checks
    good: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.good = np.ones(len(self.source), dtype=bool)

    def drop(self, bad: np.ndarray, column: str, problem: str, advice: str) -> None:
        self.checks.drop(self.source, bad & self.good, column, problem, advice)
        self.good &= ~bad

    def with_ids(self, column: IdColumn, told: tuple[np.ndarray, pd.Index]) -> tuple[np.ndarray, pd.Index]:
        """Codes of ids and these, as they were ``told``; rows without one are left out."""
        self.drop(told[0] < 0, column.column, "is not an id", "every row needs one")
        return told


def ids(cells: pd.Series, column: IdColumn) -> tuple[np.ndarray, pd.Index]:
    """Codes (n,) int64, -1 where empty, and the ids (distinct strings) that they stand for."""
    codes, seen = pd.factorize(_plain(cells))
    texts = [_id(value).removeprefix(column.strip_prefix) for value in seen]
    again, distinct = pd.factorize(np.array(texts, dtype=object))
    known = np.array([bool(text) for text in distinct], dtype=bool)
    place = np.where(known, np.cumsum(known) - 1, -1)
    of_seen = np.concatenate([place[again], [-1]]).astype(np.int64)  # code -1, a null, stays -1
    return of_seen[codes], pd.Index(distinct[known], dtype=object)


def joint_ids(each: Sequence[tuple[np.ndarray, pd.Index]]) -> tuple[np.ndarray, pd.Index]:
    """The same of several columns together: an id is what all of them hold, none where one is empty."""
    (codes, known), *others = each
    for more, names in others:
        pairs = np.where((codes < 0) | (more < 0), -1, codes * len(names) + more)
        found = np.unique(pairs[pairs >= 0])
        first, second = np.divmod(found, max(len(names), 1))
        told = zip(known[first], names[second], strict=True)
        codes = np.where(pairs < 0, -1, np.searchsorted(found, pairs))
        known = pd.Index([BETWEEN.join(both) for both in told], dtype=object)
    return codes, known


def _id(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return str(value).lower()
    # Parquet files with gaps hold whole numbers as floats: 17.0 is the id "17".
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _plain(cells: pd.Series) -> pd.Series:
    """What stands in JSON where one value should, as a text that is none."""
    if cells.dtype != object:
        return cells
    plain = [str(cell) if isinstance(cell, list | dict | np.ndarray) else cell for cell in cells]
    return pd.Series(plain, index=cells.index, dtype=object)  # or whole numbers beside a gap became floats


def numbers(cells: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float64 values (true is 1), which are missing (NaN), and which are no finite number (NaN too)."""
    numeric = pd.to_numeric(_plain(cells), errors="coerce")
    values = numeric.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    finite = np.isfinite(values)
    missing = np.zeros(len(cells), dtype=bool)
    others = cells[~finite].astype(str).str.strip().str.lower()
    missing[~finite] = cells[~finite].isna() | others.isin(["", "nan"])
    values[~finite] = others.map(YES_OR_NO).to_numpy(dtype=np.float64)
    return values, missing, np.isnan(values) & ~missing


def moments(cells: pd.Series, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
    """int64 seconds (0 where bad), and which rows are bad: no moment from 1970 to 2200 in this unit."""
    if unit == "iso":
        parsed = pd.to_datetime(_plain(cells), format="ISO8601", utc=True, errors="coerce")
        seconds = parsed.dt.as_unit("s").astype("int64").to_numpy()
        bad = parsed.isna().to_numpy()
    else:
        values, missing, wrong = numbers(cells)
        bad = missing | wrong
        seconds = np.where(bad, 0, values) // {"s": 1, "ms": 1000}[unit]
    bad = bad | (seconds <= 0) | (seconds > LATEST)
    return np.where(bad, 0, seconds).astype(np.int64), bad


def unit_of(cells: pd.Series) -> Unit | None:
    """In which most of these cells would be moments; None where in none."""
    return next((unit for unit in UNITS if not len(cells) or moments(cells, unit)[1].mean() < 0.5), None)


@dataclass(frozen=True)
class Trouble:
    """Cells of a ``column`` that cannot be used, in the rows ``bad`` (n,) bool, and what may be done."""

    column: str
    bad: np.ndarray
    problem: str
    advice: str


def attribute(source: Loaded, given: Attribute, checks: Checks) -> pd.Series:
    """Values of an attribute: float64 with NaN, str with None, or lists of str; bad cells are emptied."""
    values, troubles = values_of(source.cells, given)
    for each in troubles:
        checks.empty(source, each.bad, each.column, each.problem, each.advice)
    return values


def values_of(table: pd.DataFrame, given: Attribute) -> tuple[pd.Series, list[Trouble]]:
    """Values of an attribute, and which of its cells are none."""
    if given.flags:
        return _flags(table, given)
    column = given.columns[0]
    if given.type == "labels":
        return _lists(table[column], column)
    cells = _plain(table[column])
    if given.extract is not None:
        cells = cells.astype(str).str.extract(given.extract, expand=False).fillna("")
    if given.kind == "number":
        values, _, wrong = numbers(cells)
        return pd.Series(values), [Trouble(column, wrong, NO_NUMBER, AS_CATEGORY)]
    texts = [None if value is None or value != value or value == "" else _id(value) for value in cells]
    if given.separator is None:
        codes, seen = pd.factorize(np.array(texts, dtype=object))
        words = np.array([*seen, None], dtype=object)  # one object for all cells of a text
        return pd.Series(words[codes], dtype=object), []
    split = [(text or "").split(given.separator) for text in texts]
    return pd.Series([[*dict.fromkeys(filter(None, map(str.strip, row)))] for row in split], dtype=object), []


def _lists(cells: pd.Series, column: str) -> tuple[pd.Series, list[Trouble]]:
    lists = np.array([isinstance(cell, list | np.ndarray) for cell in cells], dtype=bool)
    wrong = ~lists & ~cells.isna().to_numpy() & (cells.astype(str) != "").to_numpy()
    told = zip(cells, lists, strict=True)
    values = pd.Series([_labels(cell) if is_list else [] for cell, is_list in told], dtype=object)
    return values, [Trouble(column, wrong, "is no list", "labels in one text need a separator instead")]


def _labels(cell: Iterable[object]) -> list[str]:
    return [*dict.fromkeys(filter(None, (_id(label).strip() for label in cell if label is not None)))]


def _flags(table: pd.DataFrame, given: Attribute) -> tuple[pd.Series, list[Trouble]]:
    met, troubles = np.zeros((len(table), len(given.flags)), dtype=bool), []
    for place, column in enumerate(given.flags):
        values, _, wrong = numbers(table[column])
        wrong |= np.isfinite(values) & (values != 0) & (values != 1)
        advice = "flags say which labels an item has"
        troubles.append(Trouble(column, wrong, "is neither 0 nor 1", advice))
        met[:, place] = values == 1
    names = np.array(given.flags, dtype=object)
    return pd.Series([names[row].tolist() for row in met], dtype=object), troubles
