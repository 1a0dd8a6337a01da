"""Table of docs/quality.md from what benchmarks/ablations measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capacity_tables import table
from quality_tables import spread

from recsys.artifacts import read_json

REPORT = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "ablations.json"
METRICS = {"ranker": "ndcg_at_10", "two_tower": "recall_at_100"}
"""By part, what it is for."""


def ablations() -> str:
    """Of each part the whole, and what every change to it loses or gains, by split."""
    splits = read_json(REPORT)["splits"]
    parts = []
    for part, metric in METRICS.items():
        rows: dict[str, list[str]] = {}
        for split in splits.values():
            for row in split[part]:
                rows.setdefault(row["name"], [row["name"]]).extend(_cells(row[metric]))
        header = [f"{part}, {metric}", *(cell for split in splits for cell in (split, ""))]
        parts.append(table(header, rows.values()))
    return "\n\n".join(parts)


def _cells(figures: Mapping[str, Any]) -> tuple[str, str]:
    """The value of the whole; of others the difference to it, with its interval."""
    if figures["low"] == figures["high"] == 0:
        return f"{figures['of']:.4f}", ""
    return spread([figures[name] for name in ("value", "low", "high")], "+.4f")


ABLATIONS: Mapping[str, Callable[[], str]] = {"ablations": ablations}
