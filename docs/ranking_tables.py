"""Tables of docs/quality-ranking.md from what benchmarks/ranking measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from capacity_tables import table

from recsys.artifacts import read_json

REPORTS = Path(__file__).resolve().parent.parent / "reports" / "benchmarks"
SPLITS = ("global_time", "leave_last_out")
ORDERS, ODDS = ("auc", "gauc"), ("log_loss", "calibration_error")
"""Figures of an order, and of probabilities."""
SPENT = (
    "{trials} trials for each, the best {finalists} of them with {draws} seeds, judged on {judged}; "
    "{requests:,} requests of a fold to learn from at most; {seeds} seeds on *test*."
)
JUDGED = {1: "*valid*", 2: "*valid* and, learning from that, on *late*"}
"""By the number of turns."""
Figures = Mapping[str, Mapping[str, Any]]
"""Mean and standard deviation by task and figure."""


def ranking() -> str:
    """Of each split what was spent, and the tables."""
    parts = []
    for split in SPLITS:
        told = read_json(REPORTS / f"ranking_{split}.json")
        picture = f"![GAUC by seed, {split}](../reports/benchmarks/ranking_{split}.png)"
        parts += [
            f"## {split}",
            SPENT.format(**told["budget"], judged=JUDGED[told["budget"].get("turns", 1)]),
            orders(told["models"]),
        ]
        parts += [ahead(told["ahead"])] if told.get("ahead") else []  # of whom there is nobody yet, perhaps
        parts += [probabilities(told["models"]), picture]
        if missing := [name for name in told["contenders"] if name not in told["models"]]:
            parts.append(f"Not run yet: {', '.join(missing)}.")
    return "\n\n".join(parts)


def orders(models: Mapping[str, Figures]) -> str:
    """How well each contender puts in order, and what it took."""
    tasks = _tasks_of(models)
    rows = []
    for model, figures in models.items():
        first = figures[tasks[0]]
        cells = [_spread(first["ndcg_at_10"])]
        cells += [_spread(figures[task][name]) for name in ORDERS for task in tasks]
        rows.append([model, *cells, *(f"{first[name]['mean']:,.0f}" for name in ("parameters", "seconds"))])
    names = ["model", "ndcg_at_10", *(f"{task} {name.upper()}" for name in ORDERS for task in tasks)]
    return table([*names, "parameters", "seconds"], rows)


def ahead(models: Mapping[str, Figures]) -> str:
    """How far the mixture orders better than each."""
    tasks = _tasks_of(models)
    rows = [[model, *(_difference(figures[task]) for task in tasks)] for model, figures in models.items()]
    return table(["mmoe ahead of", *(f"{task} GAUC" for task in tasks)], rows)


def probabilities(models: Mapping[str, Figures]) -> str:
    """How good the odds are of those that tell any."""
    tasks = _tasks_of(models)
    rows = [
        [model, *(_spread(figures[task][name]) for name in ODDS for task in tasks)]
        for model, figures in models.items()
        if ODDS[0] in figures[tasks[0]]
    ]
    return table(
        ["model", *(f"{task} {name.replace('_', ' ')}" for name in ODDS for task in tasks)],
        rows,
    )


def _tasks_of(models: Mapping[str, Figures]) -> list[str]:
    return list(next(iter(models.values())))


def _spread(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.4f} ± {figure['std']:.4f}"


def _difference(figure: Mapping[str, float]) -> str:
    return "{value:+.4f} ({low:+.4f} to {high:+.4f})".format(**figure)


RANKING: Mapping[str, Callable[[], str]] = {"ranking": ranking}
