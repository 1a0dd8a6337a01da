"""Table of docs/quality.md from what benchmarks/ablations measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
        found = [{row["name"]: row[metric] for row in split.get(part, [])} for split in splits.values()]
        names = list(dict.fromkeys(name for rows in found for name in rows))
        both = {
            name: _mean(rows)
            for name in names
            if len(rows := [each[name] for each in found if name in each]) > 1
        }
        told = [{name: _cells(each) for name, each in rows.items()} for rows in (*found, both)]
        header = [f"{part}, {metric}", *(cell for split in (*splits, "mean of both") for cell in (split, ""))]
        cells = [[name, *(cell for rows in told for cell in rows.get(name, ("", "")))] for name in names]
        parts.append(table(header, cells))
    return "\n\n".join(parts)


def _mean(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of the splits, one as much as the other; their intervals, of different questions, add up as squares."""
    mean = {name: sum(each[name] for each in figures) / len(figures) for name in ("of", "value")}
    below = math.hypot(*(each["value"] - each["low"] for each in figures)) / len(figures)
    above = math.hypot(*(each["high"] - each["value"] for each in figures)) / len(figures)
    return mean | {"low": mean["value"] - below, "high": mean["value"] + above}


def _cells(figures: Mapping[str, Any]) -> tuple[str, str]:
    """The value of the whole; of others the difference to it, with its interval."""
    if figures["low"] == figures["high"] == 0:
        return f"{figures['of']:.4f}", ""
    return spread([figures[name] for name in ("value", "low", "high")], "+.4f")


ABLATIONS: Mapping[str, Callable[[], str]] = {"ablations": ablations}
