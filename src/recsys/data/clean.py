"""Raw files -> clean tables: what cannot be used is left out and counted, the rest is typed and in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from recsys import columns
from recsys.data.report import DataReport, TableCount
from recsys.data.rules import Rule
from recsys.data.source import Source, read_source
from recsys.data.spec import DatasetSpec, IdColumn, InteractionFile, ItemFile, UserFile
from recsys.data.typed import Checks, attribute, ids, moments, numbers


@dataclass(frozen=True)
class Tables:
    """A clean data set. Rows of ``users`` and ``items`` are in the order of their ids.

    ``events`` has user_idx and item_idx (row numbers of the two), timestamp, value, positive and a
    label a task.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    events: pd.DataFrame


def read_tables(spec: DatasetSpec, folder: Path) -> tuple[Tables, DataReport]:
    """Tables of ``spec``, whose files are in ``folder``, and what was wrong with them; else DataError.

    Neither depends on the order of the rows in the files, but for which of several equal ones is
    kept: the first.
    """
    checks = Checks(spec.bad_rows_limit)
    counts: list[TableCount] = []
    users, items = (
        _read_entities(folder, file, part, checks, counts) if file else None
        for file, part in ((spec.users, "users"), (spec.items, "items"))
    )
    source = read_source(folder, spec.interactions, _interaction_columns(spec.interactions))
    tables = _interactions(_Rows(source, checks), spec, users, items)
    counts.append(_count(source, tables.events))
    return tables, DataReport(name=spec.name, tables=tuple(counts), findings=tuple(checks.findings))


def _count(source: Source, kept: pd.DataFrame) -> TableCount:
    return TableCount(file=source.path.name, rows=len(source), kept=len(kept))


def _read_entities(
    folder: Path, file: UserFile, part: str, checks: Checks, counts: list[TableCount]
) -> pd.DataFrame:
    """Users or items: id, title (items) and attributes."""
    source = read_source(folder, file, _entity_columns(file, part))
    rows = _Rows(source, checks)
    codes, known = rows.ids(file.id)
    rows.drop(pd.Series(codes).duplicated().to_numpy(), file.id.column, "stands in an earlier row")
    is_items = isinstance(file, ItemFile)
    id_column = columns.ITEM_ID if is_items else columns.USER_ID
    # Code -1, no id, takes the last one's: such rows are dropped below.
    table = pd.DataFrame({id_column: known.to_numpy()[codes]}, dtype=object)
    if isinstance(file, ItemFile):
        table[columns.TITLE] = _titles(source, file, table[id_column])
    for name, given in file.attributes.items():
        table[name] = attribute(source, given, checks)
    table = table[rows.good].sort_values(id_column, ignore_index=True)
    counts.append(_count(source, table))
    return table


def _entity_columns(file: UserFile, part: str) -> dict[str, str]:
    wanted = {file.id.column: f"{part}.id"}
    if isinstance(file, ItemFile) and file.title is not None:
        wanted[file.title] = f"{part}.title"
    for name, given in file.attributes.items():
        wanted |= dict.fromkeys(given.columns, f"{part}.attributes.{name}")
    return wanted


def _titles(source: Source, file: ItemFile, otherwise: pd.Series) -> pd.Series:
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

    def drop(self, bad: np.ndarray, column: str, problem: str) -> None:
        self.checks.drop(self.source, bad & self.good, column, problem)
        self.good &= ~bad

    def ids(self, column: IdColumn) -> tuple[np.ndarray, pd.Index]:
        codes, known = ids(self.source.cells[column.column], column)
        self.drop(codes < 0, column.column, "is not an id")
        return codes, known


def _interaction_columns(file: InteractionFile) -> dict[str, str]:
    place, roles = "interactions.columns", file.columns
    wanted = {column: f"{place}.feedback.{name}" for name, column in roles.feedback.items()}
    if roles.value is not None:
        wanted[roles.value] = f"{place}.value"
    named = {"user_id": roles.user_id, "item_id": roles.item_id, "timestamp": roles.timestamp}
    return wanted | {role.column: f"{place}.{name}" for name, role in named.items()}


def _interactions(
    rows: _Rows, spec: DatasetSpec, users: pd.DataFrame | None, items: pd.DataFrame | None
) -> Tables:
    cells, roles = rows.source.cells, spec.interactions.columns
    user_codes, user_ids = rows.ids(roles.user_id)
    item_codes, item_ids = rows.ids(roles.item_id)
    timestamp, bad, problem = moments(cells[roles.timestamp.column], roles.timestamp)
    rows.drop(bad, roles.timestamp.column, problem)
    feedback = _feedback(rows, spec)
    if users is not None:
        rows.drop(
            _orphans(user_codes, user_ids, users[columns.USER_ID]),
            roles.user_id.column,
            "is not among the users",
        )
    if items is not None:
        rows.drop(
            _orphans(item_codes, item_ids, items[columns.ITEM_ID]),
            roles.item_id.column,
            "is not among the items",
        )
    repeated = np.zeros(len(cells), dtype=bool)
    keys = pd.DataFrame({"user": user_codes, "item": item_codes, "timestamp": timestamp})
    repeated[rows.good] = keys[rows.good].duplicated().to_numpy()
    rows.drop(repeated, roles.item_id.column, "was met by this user at this moment in an earlier row")
    if users is None:
        users = _met(columns.USER_ID, user_codes[rows.good], user_ids)
    if items is None:
        items = _met(columns.ITEM_ID, item_codes[rows.good], item_ids)
        items[columns.TITLE] = items[columns.ITEM_ID]
    events = {
        columns.USER_IDX: pd.Index(users[columns.USER_ID]).get_indexer(user_ids)[user_codes].astype(np.int32),
        columns.ITEM_IDX: pd.Index(items[columns.ITEM_ID]).get_indexer(item_ids)[item_codes].astype(np.int32),
        columns.TIMESTAMP: timestamp,
        **_derived(spec, feedback, len(cells)),
    }
    return Tables(users, items, pd.DataFrame(events)[rows.good].reset_index(drop=True))


def _orphans(codes: np.ndarray, found: pd.Index, known: pd.Series) -> np.ndarray:
    orphan = np.append(~found.isin(known), False)  # code -1, no id, was told before
    return np.asarray(orphan[codes])


def _met(column: str, codes: np.ndarray, names: pd.Index) -> pd.DataFrame:
    """Table of those that interactions tell of, where no file does."""
    met = names[np.unique(codes)]
    return pd.DataFrame({column: met.sort_values().to_numpy()}, dtype=object)


def _feedback(rows: _Rows, spec: DatasetSpec) -> dict[str, np.ndarray]:
    feedback = {}
    for name, column in spec.interactions.feedback.items():
        feedback[name], missing, wrong = numbers(rows.source.cells[column])
        rows.drop(missing | wrong, column, "is not a number")
    return feedback


def _derived(spec: DatasetSpec, feedback: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """Value, positive and labels of ``n`` rows."""
    made = {
        columns.VALUE: feedback.get(columns.VALUE, np.ones(n)).astype(np.float32),
        columns.POSITIVE: Rule.parse(spec.interactions.positive).holds(feedback, n),
    }
    for name, task in spec.tasks.items():
        label = Rule.parse(task.rule).holds(feedback, n) if task.kind == "binary" else feedback[task.rule]
        made[columns.label(name)] = label.astype(np.float32)
    return made
