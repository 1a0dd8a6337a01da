"""Table of docs/quality.md from what benchmarks/ablations measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capacity_tables import table
from quality_tables import spread

from recsys.artifacts import read_json

REPORT = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "ablations.json"
SHOWN = (
    ("ranker", "ndcg_at_10"),
    ("ranker", "recall_at_100"),
    ("two_tower", "recall_at_100"),
    ("visitors", "ndcg_at_10"),
)
"""Tables: of which part, by which metric."""


def ablations() -> str:
    """Of each part the whole, and what every change to it loses or gains, by split."""
    splits = read_json(REPORT)["splits"]
    parts = []
    for part, metric in SHOWN:
        told = [
            {row["name"]: _cells(row[metric]) for row in split.get(part, [])} for split in splits.values()
        ]
        names = list(dict.fromkeys(name for rows in told for name in rows))
        header = [f"{part}, {metric}", *(cell for split in splits for cell in (split, ""))]
        cells = [[name, *(cell for rows in told for cell in rows.get(name, ("", "")))] for name in names]
        parts.append(table(header, cells))
    return "\n\n".join(parts)


def _cells(figures: Mapping[str, Any]) -> tuple[str, str]:
    """The value of the whole; of others the difference to it, with its interval."""
    if figures["low"] == figures["high"] == 0:
        return f"{figures['of']:.4f}", ""
    return spread([figures[name] for name in ("value", "low", "high")], "+.4f")


ABLATIONS: Mapping[str, Callable[[], str]] = {"ablations": ablations}
