"""Raw files -> clean tables: what cannot be used is left out and counted, the rest is typed and in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from recsys import columns
from recsys.data.attributes import Attribute
from recsys.data.report import DataReport, TableCount
from recsys.data.rules import Rule
from recsys.data.source import Loaded, Source, load
from recsys.data.spec import (
    DatasetSpec,
    IdColumn,
    InteractionFile,
    ItemFile,
    TimeColumn,
    UserFile,
)
from recsys.data.typed import AS_CATEGORY, NO_NUMBER, UNITS, Checks, attribute, ids, unit_of
from recsys.data.typed_rows import ITEM, USER, TypedRows, read_rows
from recsys.types import Engine

NO_MOMENT = 946_688_399
"""2000-01-01T00:59:59 in seconds: when all happened of which nobody knows when.

The second after it is a full hour, as of which features count what is known.
"""
NO_TIME = (
    "there are no timestamps: the order of a user's interactions is drawn, a pair that comes again counts "
    "once, what depends on time (sequences, decay, popular of the last days) says nothing, and only "
    "leave_last_out can be cut (params.yaml: data.splits, release.split)"
)


@dataclass(frozen=True)
class Tables:
    """A clean data set. Rows of ``users`` and ``items`` are in the order of their ids.

    ``events`` has user_idx and item_idx (row numbers of the two), timestamp, value, positive, a label a task,
    what is known of the request and what is observed of the item.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    events: pd.DataFrame


def read_tables(spec: DatasetSpec, folder: Path, engine: Engine = "local") -> tuple[Tables, DataReport]:
    """Tables of ``spec``, whose files are in ``folder``, and what was wrong with them; else DataError.

    Neither depends on the order of the rows in the files, but for which of several equal ones is
    kept: the first.
    """
    checks = Checks(spec.bad_rows_limit)
    counts: list[TableCount] = []
    users = _listed("users", columns.USER_ID, folder, spec.users, checks, counts)
    items = _listed("items", columns.ITEM_ID, folder, spec.items, checks, counts)
    typed = read_rows(folder, spec.interactions, _interaction_columns(spec.interactions), engine)
    tables = _interactions(typed, checks, spec, users, items)
    counts.append(_count(typed.source, tables.events))
    notes = () if spec.interactions.columns.timestamp else (NO_TIME,)
    report = DataReport(name=spec.name, tables=tuple(counts), findings=tuple(checks.findings), notes=notes)
    return tables, report


def _count(source: Source, kept: pd.DataFrame) -> TableCount:
    return TableCount(file=source.name, rows=len(source), kept=len(kept))


@dataclass(frozen=True)
class _Listed:
    """Users or items of whom a file tells: nobody where there is none."""

    part: str
    id_column: str
    file: UserFile | None
    table: pd.DataFrame

    def drop_others(self, rows: _Rows, column: str, codes: np.ndarray, names: pd.Index) -> None:
        """Leave out ``rows`` of those who are not listed, where the list is said to be complete."""
        if self.file is None or not self.file.complete:
            return
        other = np.append(~names.isin(self.table[self.id_column]), False)  # code -1, no id, was told before
        advice = f"add a row to {self.file.file}, or say `complete: false` in {self.part}"
        rows.drop(np.asarray(other[codes]), column, f"is not among the {self.part}", advice)

    def with_others(self, met: pd.Index) -> pd.DataFrame:
        """All who are listed or were ``met``; nothing is known of those who are not listed."""
        others = met.difference(pd.Index(self.table[self.id_column]))
        if self.file is not None and not len(others):
            return self.table
        added = pd.DataFrame({self.id_column: others.to_numpy()}, dtype=object)
        if self.part == "items":
            added[columns.TITLE] = added[self.id_column]
        for name, given in (self.file.attributes if self.file else {}).items():
            added[name] = _nothing(given, len(added))
        table = pd.concat([self.table, added]) if len(self.table) else added
        return table.sort_values(self.id_column, ignore_index=True)


def _nothing(given: Attribute, n: int) -> pd.Series:
    """Values of an attribute of which nothing is known."""
    if given.kind == "number":
        return pd.Series(np.full(n, np.nan))
    return pd.Series([[] if given.kind == "labels" else None for _ in range(n)], dtype=object)


def _listed(
    part: str, id_column: str, folder: Path, file: UserFile | None, checks: Checks, counts: list[TableCount]
) -> _Listed:
    """Users or items: id, title (items) and attributes."""
    if file is None:
        return _Listed(part, id_column, None, pd.DataFrame({id_column: []}, dtype=object))
    source = load(folder, file, _entity_columns(file, part))
    rows = _Rows(source, checks)
    codes, known = rows.with_ids(file.id, ids(source.cells[file.id.column], file.id))
    twice = pd.Series(codes).duplicated().to_numpy()
    rows.drop(twice, file.id.column, "stands in an earlier row", "an id has one row: only the first is kept")
    # Code -1, no id, takes the last one's: such rows are dropped below.
    table = pd.DataFrame({id_column: known.to_numpy()[codes]}, dtype=object)
    if isinstance(file, ItemFile):
        table[columns.TITLE] = _titles(source, file, table[id_column])
    for name, given in file.attributes.items():
        table[name] = attribute(source, given, checks)
    table = table[rows.good].sort_values(id_column, ignore_index=True)
    counts.append(_count(source, table))
    return _Listed(part, id_column, file, table)


def _entity_columns(file: UserFile, part: str) -> dict[str, str]:
    wanted = {file.id.column: f"{part}.id"}
    if isinstance(file, ItemFile) and file.title is not None:
        wanted[file.title] = f"{part}.title"
    for name, given in file.attributes.items():
        wanted |= dict.fromkeys(given.columns, f"{part}.attributes.{name}")
    return wanted


def _titles(source: Loaded, file: ItemFile, otherwise: pd.Series) -> pd.Series:
    if file.title is None:
        return otherwise
    titles = source.cells[file.title].fillna("").astype(str).astype(object)
    return titles.where(titles != "", otherwise)


@dataclass
class _Rows:
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


def _interaction_columns(file: InteractionFile) -> dict[str, str]:
    place, roles = "interactions.columns", file.columns
    wanted = {column: f"{place}.feedback.{name}" for name, column in roles.feedback.items()}
    wanted |= {given.column: f"{place}.context.{name}" for name, given in roles.context.items()}
    if roles.value is not None:
        wanted[roles.value] = f"{place}.value"
    named = {"user_id": roles.user_id, "item_id": roles.item_id, "timestamp": roles.timestamp}
    return wanted | {role.column: f"{place}.{name}" for name, role in named.items() if role}


def _interactions(
    typed: TypedRows, checks: Checks, spec: DatasetSpec, users: _Listed, items: _Listed
) -> Tables:
    roles, rows = spec.interactions.columns, _Rows(typed.source, checks)
    user_codes, user_ids = rows.with_ids(roles.user_id, typed.ids(USER))
    item_codes, item_ids = rows.with_ids(roles.item_id, typed.ids(ITEM))
    timestamp = _timestamps(rows, typed, roles.timestamp)
    feedback = _feedback(rows, typed, spec)
    users.drop_others(rows, roles.user_id.column, user_codes, user_ids)
    items.drop_others(rows, roles.item_id.column, item_codes, item_ids)
    derived = _derived(spec, feedback, len(rows.good))
    keys = user_codes, item_codes, timestamp
    if roles.timestamp is None:  # of what was shown several times, that it was taken once is what counts
        rows.good &= ~_repeated(keys, rows.good, ~derived[columns.POSITIVE])
    problem = "was met by this user at this moment in an earlier row"
    repeated = _repeated(keys, rows.good, np.zeros(len(timestamp), dtype=bool))
    rows.drop(repeated, roles.item_id.column, problem, "only the first of them is kept")
    all_users = users.with_others(user_ids[np.unique(user_codes[rows.good])])
    all_items = items.with_others(item_ids[np.unique(item_codes[rows.good])])
    events = {
        columns.USER_IDX: _numbered(all_users[columns.USER_ID], user_ids, user_codes),
        columns.ITEM_IDX: _numbered(all_items[columns.ITEM_ID], item_ids, item_codes),
        columns.TIMESTAMP: timestamp,
        **derived,
        **{
            columns.context(name): _context(rows, typed, name, told.column)
            for name, told in roles.context.items()
        },
    }
    kept = pd.DataFrame(events, copy=False)
    return Tables(all_users, all_items, kept if rows.good.all() else kept[rows.good].reset_index(drop=True))


def _repeated(keys: Sequence[np.ndarray], good: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Which ``good`` rows have the keys of an earlier one; rows that come ``last`` are behind all others."""
    rows = np.flatnonzero(good)
    order = rows[np.lexsort([each[rows] for each in (last, *keys)])]
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for each in keys:
        ordered = each[order]
        same &= ordered[1:] == ordered[:-1]
    repeated = np.zeros(len(good), dtype=bool)
    repeated[order[1:][same]] = True
    return repeated


def _numbered(table: pd.Series, names: pd.Index, codes: np.ndarray) -> np.ndarray:
    """Row in ``table`` of each code (n,) int32."""
    return np.asarray(pd.Index(table).get_indexer(names)[codes].astype(np.int32))


def _timestamps(rows: _Rows, typed: TypedRows, column: TimeColumn | None) -> np.ndarray:
    """int64 seconds; all of one moment where nobody knows when."""
    if column is None:
        return np.full(len(rows.good), NO_MOMENT, dtype=np.int64)
    timestamp, bad, odd = typed.times()
    unit = unit_of(odd)
    advice = f"`unit: {unit}` reads most of them" if unit else "leave the row out, or mend it"
    rows.drop(bad, column.column, f"is no moment from 1970 to 2200 in {UNITS[column.unit]}", advice)
    return timestamp


def _feedback(rows: _Rows, typed: TypedRows, spec: DatasetSpec) -> dict[str, np.ndarray]:
    feedback = {name: typed.feedback(name) for name in spec.interactions.feedback}
    for name, column in spec.interactions.feedback.items():
        if name in spec.needed:
            advice = "feedback is told in numbers: 1 and 0 for yes and no"
            rows.drop(np.isnan(feedback[name]), column, NO_NUMBER, advice)
    return feedback


def _context(rows: _Rows, typed: TypedRows, name: str, column: str) -> pd.Series:
    """float64 with NaN or str with None; what cannot be read is unknown."""
    values, bad = typed.context(name)
    rows.checks.empty(rows.source, bad, column, NO_NUMBER, AS_CATEGORY)
    return pd.Series(values, dtype=values.dtype)  # or pandas would make texts of its own kind of them


def _derived(spec: DatasetSpec, feedback: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Value, positive, labels and what is observed of ``n`` rows."""
    made = {
        columns.VALUE: feedback.get(columns.VALUE, np.ones(n)).astype(np.float32),
        columns.POSITIVE: Rule.parse(spec.interactions.positive).holds(feedback, n),
    }
    for name, task in spec.tasks.items():
        if task.full is None:
            label = Rule.parse(task.rule).holds(feedback, n)
        else:
            label = np.clip(feedback[task.rule] / task.full, 0, 1)
        made[columns.label(name)] = label.astype(np.float32)
    for name, each in spec.interactions.observed.items():
        per = feedback[each.per] if each.per else np.ones(n)
        told = np.divide(feedback[each.feedback], per, out=np.full(n, np.nan), where=per > 0)
        made[columns.observed(name)] = told.astype(np.float32)
    return made
