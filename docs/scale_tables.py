"""Tables of docs/scale.md from what benchmarks/scale and benchmarks/processes measured."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from capacity_tables import table

from recsys.artifacts import read_json

BENCHMARKS = Path(__file__).resolve().parent.parent / "reports" / "benchmarks"
GIGABYTE = 1e9
PER_ITEM = 100
"""Events of a run in which all grows together."""
SOURCES = ("memory", "memory and shards", "shards")
"""What training may read its events from."""


def stages() -> str:
    """Seconds and memory of each stage by events, and with which power of them its seconds grow."""
    report = read_json(BENCHMARKS / "scale.json")
    rows = pd.DataFrame(report["stages"])
    rows["stage"] = rows["stage"].str.partition("@")[0]
    grown = {stage.partition("@")[0]: power for stage, power in report["exponents"].items()}
    runs = sorted(set(zip(rows["events"], rows["items"], strict=True)))
    runs.sort(key=lambda run: run[1])
    lines = []
    for stage, own in rows.groupby("stage", sort=False):
        told = own.set_index(["events", "items"])
        power = f"{grown[stage]:.2f}" if stage in grown else ""
        lines.append([stage, *(_cost(told, run) for run in runs), power])
    total = rows.groupby(["events", "items"]).agg({"seconds": "sum", "peak_bytes": "max"})
    lines.append(["all, one after the other", *(_cost(total, run) for run in runs), ""])
    names = ["stage", *(f"{_short(events)} events, {_short(items)} items" for events, items in runs), "power"]
    return f"{table(names, lines)}\n\n{_memory(rows, grown)}"


def _memory(rows: pd.DataFrame, grown: Collection[str]) -> str:
    """What each further million events takes, of the stage that takes the most."""
    own = rows[rows["stage"].isin(grown) & (rows["events"] == rows["items"] * PER_ITEM)]
    first, last = (
        own[own["events"] == size].set_index("stage") for size in (own["events"].min(), own["events"].max())
    )
    slopes = (last["peak_bytes"] - first["peak_bytes"]) / (last["events"] - first["events"])
    return (
        f"Each further million events takes {slopes.max() * 1e6 / GIGABYTE:.2f} GB at most, in "
        f"*{slopes.idxmax()}*: {slopes.max():.0f} bytes an event, with its share of a user and an item."
    )


def _cost(told: pd.DataFrame, run: tuple[int, int]) -> str:
    if run not in told.index:
        return ""
    seconds, peak = told.loc[run, "seconds"], told.loc[run, "peak_bytes"]
    return f"{seconds:,.0f} s, {peak / GIGABYTE:.1f} GB"


def _short(number: int) -> str:
    return f"{number / 1e6:g} M" if number >= 1e6 else f"{number:,}"


def serving() -> str:
    """How soon one worker answers, and what it holds, by what there is in a release."""
    report = read_json(BENCHMARKS / "scale_serving.json")
    names = ["users", "items", "interactions", "p50, ms", "p99, ms", "times", "requests/s", "worker, MB"]
    rows = [
        [
            *(f"{each[name]:,}" for name in ("users", "items", "interactions")),
            f"{each['p50_ms']:.1f}",
            f"{each['p99_ms']:.1f}",
            f"{each['p99_ratio']:.2f}",
            f"{each['requests_per_second']:,.0f}",
            f"{each['rss_mb']:,.0f}",
        ]
        for each in report["releases"]
    ]
    return table(names, rows, words=0)


def processes() -> str:
    """Models that one process has trained, and two; what became of a training of which one was killed."""
    report = read_json(BENCHMARKS / "processes.json")
    runs = pd.DataFrame(report["runs"])
    rows = _compared(runs, "processes")
    for row, (_, own) in zip(rows, runs.groupby(["model", "metric"], sort=False), strict=True):
        took = own.groupby("processes")["seconds"].median()
        row += [f"{took[n]:,.0f}" for n in (1, 2)]
    names = ["model", "1 process", "2 processes", "difference", "1 process, s", "2 processes, s"]
    same = report["killed"]["same_curve"] and report["killed"]["same_numbers"]
    ended = "the same curve and the same numbers, to the last digit" if same else "**other numbers**"
    told = (
        f"{report['split']}, fold *valid*; means of {runs['seed'].nunique()} seeds and their standard "
        "deviation, the difference with its standard error. Two towers trained by two, one of which was "
        f"killed in the middle: {ended}."
    )
    return f"{table(names, rows)}\n\n{told}"


def _compared(runs: pd.DataFrame, by: str) -> list[list[str]]:
    """A row for each model and metric: by the two values of a column, and what lies between them."""
    rows = []
    for (model, metric), own in runs.groupby(["model", "metric"], sort=False):
        values = own.pivot_table(index="seed", columns=by, values="value")
        one, other = values.columns
        apart, noise = (values[other] - values[one]).mean(), np.sqrt((values.var() / len(values)).sum())
        cells = [f"{values[each].mean():.4f} (± {values[each].std():.4f})" for each in (one, other)]
        rows.append([f"{model}, {metric}", *cells, f"{apart:+.4f} (± {noise:.4f})"])
    return rows


def shards() -> str:
    """Training from memory beside training from shards: what it takes, and what is learned."""
    report = read_json(BENCHMARKS / "shards.json")
    grown = pd.DataFrame(report["grown"]).set_index(["events", "source"]).sort_index()
    rows = [
        [
            f"{events / 1e6:g} M",
            *(f"{grown.loc[(events, source), 'peak_bytes'] / GIGABYTE:.2f}" for source in SOURCES),
            *(f"{grown.loc[(events, source), 'seconds']:,.0f}" for source in SOURCES),
            *(f"{grown.loc[(events, source), 'recall']:.3f}" for source in SOURCES),
        ]
        for events in grown.index.unique("events")
    ]
    names = [f"{what}, {source}" for what in ("GB", "seconds", "recall_at_100") for source in SOURCES]
    slopes = [_slope(grown.xs(source, level="source")) for source in SOURCES]
    told = (
        f"A further event takes {slopes[0]:.0f} bytes when all is in memory, {slopes[1]:.0f} when shards are "
        f"read beside that, and {slopes[2]:.0f} with shards alone, with its share of a user and an item."
    )
    return f"{table(['events', *names], rows)}\n\n{told}\n\n{_learned(report['learned'])}"


def _slope(own: pd.DataFrame) -> float:
    """Bytes an event from the smallest size to the largest."""
    first, last = own.iloc[0], own.iloc[-1]
    return float((last["peak_bytes"] - first["peak_bytes"]) / (last.name - first.name))


def _learned(report: Mapping[str, Any]) -> str:
    """What models find that have learned from the one and from the other."""
    runs = pd.DataFrame(report["runs"])
    told = (
        f"MovieLens-1M, {report['split']}, fold *valid*, {report['shards']} shards: means of "
        f"{runs['seed'].nunique()} seeds and their standard deviation, the difference with its standard "
        "error."
    )
    return f"{table(['model', 'memory', 'shards', 'difference'], _compared(runs, 'source'))}\n\n{told}"


SCALE: Mapping[str, Callable[[], str]] = {
    "stages": stages,
    "scale-serving": serving,
    "processes": processes,
    "shards": shards,
}
