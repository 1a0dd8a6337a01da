"""Tables of docs/quality-ranking.md from what benchmarks/ranking measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from capacity_tables import table

from recsys.artifacts import read_json

REPORT = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "ranking.json"


def models(split: str) -> str:
    """Each contender's means over the seeds, the standard deviation behind."""
    told = read_json(REPORT)["splits"][split]["models"]
    tasks = list(next(iter(told.values())))
    rows = []
    for model, figures in told.items():
        first = figures[tasks[0]]
        row = [model, _spread(first["ndcg_at_10"], 4)]
        row += [_spread(figures[task].get(name), 4) for name in ("auc", "gauc") for task in tasks]
        row += [f"{first[name]['mean']:,.0f}" for name in ("parameters", "seconds")]
        rows.append(row)
    names = ["model", "ndcg_at_10", *(f"{task} {name}" for name in ("AUC", "GAUC") for task in tasks)]
    return table([*names, "parameters", "seconds"], rows)


def probabilities(split: str) -> str:
    """Of those that tell any."""
    told = read_json(REPORT)["splits"][split]["models"]
    tasks = list(next(iter(told.values())))
    rows = [
        [model, *(_spread(figures[task][name], 4) for name in PROBABLE for task in tasks)]
        for model, figures in told.items()
        if PROBABLE[0] in figures[tasks[0]]
    ]
    names = [f"{task} {name.replace('_', ' ')}" for name in PROBABLE for task in tasks]
    return table(["model", *names], rows)


PROBABLE = ("log_loss", "calibration_error")


def _spread(figure: Mapping[str, Any], decimals: int) -> str:
    return f"{figure['mean']:.{decimals}f} ± {figure['std']:.{decimals}f}"


RANKING: Mapping[str, Callable[[], str]] = {
    f"{kind.__name__}_{split}": partial(kind, split)
    for kind in (models, probabilities)
    for split in ("global_time", "leave_last_out")
}
