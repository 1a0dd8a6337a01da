"""What a column may be: ids, moments, numbers, labels."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from recsys.data.spec import Unit
from recsys.data.typed import numbers

NEARLY_ALL, OFTEN, SELDOM = 0.98, 0.2, 0.05
"""Shares of cells."""
SECONDS = (1e8, 7.2e9)
"""Moments from 1973 on: what is less may be any number."""
PER_MILLISECOND = 1000
ENDS = {"id", "ids", "key", "no", "nr", "number", "code", "token"}
"""Last words of the name of a column of ids."""
LABELS = "|;,"
"""What may stand between the labels of a cell."""


@dataclass(frozen=True, eq=False)
class Column:
    """A column as far as it was looked at; ``cells`` are strings, empty where nothing is known."""

    name: str
    cells: pd.Series
    lists: bool
    """Whether cells held lists, not texts."""

    @classmethod
    def of(cls, name: str, cells: pd.Series) -> Self:
        """A column of what a file holds."""
        lists = any(isinstance(cell, list | np.ndarray) for cell in cells)
        return cls(name, cells.map(_told).astype(object), lists)

    @cached_property
    def words(self) -> list[str]:
        return words(self.name)

    @cached_property
    def filled(self) -> pd.Series:
        return self.cells[self.cells.str.strip() != ""]

    @cached_property
    def numbers(self) -> np.ndarray | None:
        """Finite numbers (n,), None where some cell holds none."""
        values = numbers(self.filled)[0]
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


def words(name: str) -> list[str]:
    """Of a name, in lower case: userId, user_id and USER-ID are alike."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", parted) if word]


def _told(cell: object) -> str:
    """A cell as it would stand in a text; whole numbers without a point, labels one after the other."""
    if isinstance(cell, list | np.ndarray):
        return LABELS[0].join(map(_told, cell))
    if isinstance(cell, bool | np.bool_):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None or cell is pd.NaT or (isinstance(cell, float) and cell != cell) else str(cell)
