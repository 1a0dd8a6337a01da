"""Rules of a ``dataset.yaml``, as ``value >= 4 and watched > 0.5``: parsed, never evaluated as code."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

ALL = "all"
"""The rule that every interaction meets."""

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(
    r"\s*(?P<column>[A-Za-z_]\w*)\s*(?P<sign>>=|<=|==|!=|>|<)\s*(?P<number>[-+]?\d+(\.\d*)?)\s*", re.ASCII
)


@dataclass(frozen=True)
class Rule:
    """Comparisons that must all hold; none is the rule ``all``."""

    comparisons: tuple[tuple[str, str, float], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """``all``, or ``column op number`` joined by ``and``; ValueError for anything else."""
        if text.strip() == ALL:
            return cls(())
        return cls(tuple(_comparison(part, text) for part in re.split(r"\band\b", text)))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column for column, _, _ in self.comparisons)

    def holds(self, table: Mapping[str, np.ndarray], n: int) -> np.ndarray:
        """Which of ``n`` rows meet the rule, bool; ``table`` maps a column to its (n,) numbers."""
        met = np.ones(n, dtype=bool)
        for column, sign, number in self.comparisons:
            met &= _OPERATORS[sign](table[column], number)
        return met


def _comparison(part: str, rule: str) -> tuple[str, str, float]:
    found = _COMPARISON.fullmatch(part)
    if found is None:
        raise ValueError(
            f"rule {rule!r} is neither 'all' nor 'column op number [and ...]' with op >= <= == != > <"
        )
    return found["column"], found["sign"], float(found["number"])
