"""What was wrong with a data set's files: one line that stops everything, or a count of rows left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict


class DataError(Exception):
    """The data cannot be used as it is; the message is one line that names file, row and column."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Finding(_Frozen):
    """One kind of bad rows in one column: ``count`` of them, the first few told in ``examples``.

    ``action``: the whole row was ``dropped``, or only its cell ``emptied``; ``advice``: what may be done.
    """

    file: str
    column: str
    problem: str
    action: Literal["dropped", "emptied"]
    count: int
    examples: tuple[str, ...]
    advice: str


class TableCount(_Frozen):
    """Rows of one file: how many it has, how many were kept."""

    file: str
    rows: int
    kept: int


class DataReport(_Frozen):
    """What reading a data set found; ``notes`` tell what cannot be had from data of this kind."""

    name: str
    tables: tuple[TableCount, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Tell the report to a person, a line at a time."""
        for table in self.tables:
            yield f"{table.file}: {table.kept:,} of {table.rows:,} rows kept"
        for finding in self.findings:
            yield f"{finding.file}: {finding.count:,} {finding.action}: {finding.column!r} {finding.problem}"
            yield from (f"  {example}" for example in finding.examples)
            yield f"  -> {finding.advice}"
        if not self.findings:
            yield "nothing wrong was found"
        yield from self.notes
