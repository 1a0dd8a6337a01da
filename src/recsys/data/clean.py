"""Raw files -> clean tables: what cannot be used is left out and counted, the rest is typed and in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsys import columns
from recsys.data.events import numbered, repeated_in
from recsys.data.impressions import Shown, shown_in
from recsys.data.listed import Listed, listed
from recsys.data.report import DataReport, TableCount
from recsys.data.rules import Rule
from recsys.data.spec import DatasetSpec, InteractionFile, TimeColumn
from recsys.data.typed import AS_CATEGORY, NO_NUMBER, UNITS, Checks, Rows, unit_of
from recsys.data.typed_rows import AT, ITEM, USER, TypedRows, read_rows
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
    users = listed("users", columns.USER_ID, folder, spec.users, checks, counts)
    items = listed("items", columns.ITEM_ID, folder, spec.items, checks, counts)
    typed = read_rows(folder, spec.interactions, _interaction_columns(spec.interactions), engine)
    told = spec.interactions.impressions
    shown = None if told is None else shown_in(folder, told, engine, checks, items, typed.ids(AT)[1], counts)
    tables, n = _interactions(typed, checks, spec, users, items, shown)
    counts.append(TableCount(file=typed.source.name, rows=len(typed.source), kept=n))
    notes = [] if spec.interactions.columns.timestamp else [NO_TIME]
    if told is not None:
        notes.append(f"{len(tables.events) - n:,} impressions: what {told.file} shows and nobody took there")
    return tables, DataReport(
        name=spec.name, tables=tuple(counts), findings=tuple(checks.findings), notes=tuple(notes)
    )


def _interaction_columns(file: InteractionFile) -> dict[str, str]:
    place, roles = "interactions.columns", file.columns
    shown = file.impressions
    wanted = {} if shown is None else dict.fromkeys(shown.at, "interactions.impressions.at")
    wanted |= {column: f"{place}.feedback.{name}" for name, column in roles.feedback.items()}
    wanted |= {given.column: f"{place}.context.{name}" for name, given in roles.context.items()}
    if roles.value is not None:
        wanted[roles.value] = f"{place}.value"
    named = {"user_id": roles.user_id, "item_id": roles.item_id, "timestamp": roles.timestamp}
    return wanted | {role.column: f"{place}.{name}" for name, role in named.items() if role}


def _interactions(
    typed: TypedRows,
    checks: Checks,
    spec: DatasetSpec,
    users: Listed,
    items: Listed,
    shown: Shown | None,
) -> tuple[Tables, int]:
    """Tables, and how many of the events are interactions; what was only shown comes after them."""
    roles, rows = spec.interactions.columns, Rows(typed.source, checks)
    user_codes, user_ids = rows.with_ids(roles.user_id, typed.ids(USER))
    item_codes, item_ids = rows.with_ids(roles.item_id, typed.ids(ITEM))
    timestamp = _timestamps(rows, typed, roles.timestamp)
    feedback = _feedback(rows, typed, spec)
    users.drop_others(rows, roles.user_id.column, user_codes, user_ids)
    items.drop_others(rows, roles.item_id.column, item_codes, item_ids)
    derived = _derived(spec, feedback, len(rows.good))
    keys = user_codes, item_codes, timestamp
    if roles.timestamp is None:  # of what was shown several times, that it was taken once is what counts
        rows.good &= ~repeated_in(keys, rows.good, ~derived[columns.POSITIVE])
    problem = "was met by this user at this moment in an earlier row"
    repeated = repeated_in(keys, rows.good, np.zeros(len(timestamp), dtype=bool))
    rows.drop(repeated, roles.item_id.column, problem, "only the first of them is kept")
    all_users = users.with_others(user_ids[np.unique(user_codes[rows.good])])
    named = item_ids[np.unique(item_codes[rows.good])]
    all_items = items.with_others(named if shown is None else named.union(shown.named))
    events = {
        columns.USER_IDX: numbered(all_users[columns.USER_ID], user_ids, user_codes),
        columns.ITEM_IDX: numbered(all_items[columns.ITEM_ID], item_ids, item_codes),
        columns.TIMESTAMP: timestamp,
        **derived,
        **{
            columns.context(name): _context(rows, typed, name, told.column)
            for name, told in roles.context.items()
        },
    }
    table = pd.DataFrame(events, copy=False)
    kept = table if rows.good.all() else table[rows.good].reset_index(drop=True)
    if shown is None:
        return Tables(all_users, all_items, kept), len(kept)
    every = shown.after(kept, typed.ids(AT)[0][rows.good], all_items[columns.ITEM_ID])
    return Tables(all_users, all_items, every), len(kept)


def _timestamps(rows: Rows, typed: TypedRows, column: TimeColumn | None) -> np.ndarray:
    """int64 seconds; all of one moment where nobody knows when."""
    if column is None:
        return np.full(len(rows.good), NO_MOMENT, dtype=np.int64)
    timestamp, bad, odd = typed.times()
    unit = unit_of(odd)
    advice = f"`unit: {unit}` reads most of them" if unit else "leave the row out, or mend it"
    rows.drop(bad, column.column, f"is no moment from 1970 to 2200 in {UNITS[column.unit]}", advice)
    return timestamp


def _feedback(rows: Rows, typed: TypedRows, spec: DatasetSpec) -> dict[str, np.ndarray]:
    feedback = {name: typed.feedback(name) for name in spec.interactions.feedback}
    for name, column in spec.interactions.feedback.items():
        if name in spec.needed:
            advice = "feedback is told in numbers: 1 and 0 for yes and no"
            rows.drop(np.isnan(feedback[name]), column, NO_NUMBER, advice)
    return feedback


def _context(rows: Rows, typed: TypedRows, name: str, column: str) -> pd.Series:
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
