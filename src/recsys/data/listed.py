"""Users and items of whom a file tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from recsys import columns
from recsys.data.attributes import Attribute
from recsys.data.report import TableCount
from recsys.data.source import Loaded, load
from recsys.data.spec import ItemFile, UserFile
from recsys.data.typed import Checks, Rows, attribute, ids


@dataclass(frozen=True)
class Listed:
    """Users or items of whom a file tells: nobody where there is none."""

    part: str
    id_column: str
    file: UserFile | None
    table: pd.DataFrame

    def drop_others(self, rows: Rows, column: str, codes: np.ndarray, names: pd.Index) -> None:
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


def listed(
    part: str, id_column: str, folder: Path, file: UserFile | None, checks: Checks, counts: list[TableCount]
) -> Listed:
    """Users or items: id, title (items) and attributes."""
    if file is None:
        return Listed(part, id_column, None, pd.DataFrame({id_column: []}, dtype=object))
    source = load(folder, file, _entity_columns(file, part))
    rows = Rows(source, checks)
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
    counts.append(TableCount(file=source.name, rows=len(source), kept=len(table)))
    return Listed(part, id_column, file, table)


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
