"""Tables of README.md and docs/capacity.md from what benchmarks/capacity measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from recsys.artifacts import read_json
from recsys.capacity import Measured, Want, plan

REPORT = Path(__file__).resolve().parent.parent / "reports" / "benchmarks" / "capacity.json"
HALF = 0.5
ASKED = Want(rps=5000, p99_ms=50)
"""What `recsys capacity --rps 5000 --p99-ms 50` asks."""
PAPER = Want(rps=100_000, p99_ms=50, users=1e8, items=1e7, cores=32, memory_gb=256, price=1.6)
"""What the paper plan asks, of larger machines."""
SIZES = {"user": (1e6, 1e8), "item": (1e5, 1e7), "interaction": (1.5e8, 1.5e10)}
"""How many there are in the two columns of the paper table."""


def table(names: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """Markdown; the first ``words`` columns stand to the left, numbers to the right."""
    marks = ["---"] * words + ["---:"] * (len(names) - words)
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, marks, *rows))


def load() -> str:
    """README: what one replica and two answer, and what the balancer's algorithm does."""
    report = read_json(REPORT)
    rows = []
    for replicas in sorted({point["replicas"] for point in report["points"]}):
        own = [point for point in report["points"] if point["replicas"] == replicas]
        most = max((each for each in own if each["kind"] == "closed"), key=_rate)
        half = next(each for each in own if each["share"] == HALF)
        failed = sum(int(each["failed"]) for each in own)
        numbers = (_rate(most), most["p99_ms"], _rate(half), half["p50_ms"], half["p99_ms"], failed)
        rows.append([str(replicas), *map(_number, numbers)])
    names = [
        "replicas",
        "requests/s",
        "p99, ms",
        "half by chance, requests/s",
        "p50, ms",
        "p99, ms",
        "failed",
    ]
    return f"{table(names, rows)}\n\n{_balance(report['balance'])}"


def _balance(told: Mapping[str, Any]) -> str:
    measures = ("p50_ms", "p99_ms", "peak_requests_per_second", "peak_p99_ms", "failed")
    rows = [
        [
            name,
            f"{each['hit_rate']:.1%}",
            f"{each['busiest']:.0%}",
            *(_number(each[measure]) for measure in measures),
        ]
        for name, each in told["algorithms"].items()
    ]
    chance = f"{told['requests_per_second']:,.0f}/s by chance: p50, ms"
    return table(
        ["", "from caches", "at the busier replica", chance, "p99, ms", "requests/s", "p99, ms", "failed"],
        rows,
    )


def held_back() -> str:
    """What the fitted model says of points that it was not shown."""
    rows = []
    for row in read_json(REPORT)["fitted"]["held_back"]:
        by_chance = row["kind"] == "open"
        load = f"{row['load']:,.0f}/s by chance" if by_chance else f"{row['load']:.0f} connections"
        measure = row["measure"].replace("_ms", ", ms").replace("_per_second", "/s")
        numbers = (_number(row["measured"]), _number(row["predicted"]), f"{row['error']:+.0%}")
        rows.append([str(row["replicas"]), load, measure, *numbers])
    return table(["replicas", "load", "", "measured", "predicted", "error"], rows, words=3)


def fitted() -> str:
    """Numbers of both models with their standard errors."""
    told = read_json(REPORT)["fitted"]
    rows = [
        [model, name, f"{number['value']:.4g}", f"{number['error']:.2g}"]
        for model in ("throughput", "waiting")
        for name, number in told[model].items()
    ]
    return table(["model", "number", "value", "standard error"], rows, words=2)


def parts() -> str:
    """Processor time of a request by part, and how many answers were made in full."""
    measures = ("replicas_cpu_ms", "proxy_cpu_ms", "redis_cpu_ms", "asking_cpu_ms")
    rows = [
        [
            str(each["replicas"]),
            f"{_rate(each):,.0f}",
            *(f"{each[measure]:.2f}" for measure in measures),
            f"{each['whole']:.1%}",
        ]
        for each in read_json(REPORT)["points"]
        if each["kind"] == "open"
    ]
    names = ["replicas", "requests/s", "replicas, ms", "HAProxy, ms", "Redis, ms", "asking, ms", "in full"]
    return table(names, rows)


def sizes() -> str:
    """Bytes of a user, an item and an interaction by table, and gigabytes at two sizes."""
    report = read_json(REPORT)
    rows = [
        _size(f"release: {row['table']}", row["unit"], row["bytes_per_unit"])
        for row in report["weighed"]
        if row["unit"] != "none"
    ]
    rows += [_size("each worker: ids", unit, report["worker"]["id"]) for unit in ("user", "item")]
    redis = report["redis"]
    events = redis["user"] + ASKED.events * redis["event"]
    rows.append(_size(f"Redis: {ASKED.events:.0f} events", "user", events))
    rows.append(_size("Redis: lists of two releases", "user", 2 * redis["list"]))
    return table(["table", "of each", "bytes", "GB, 1 M × 100 k", "GB, 100 M × 10 M"], rows, words=2)


def caches() -> str:
    """What caches would have, each user in one or in all in turn, beside what they had."""
    told = read_json(REPORT)["balance"]
    had = {name: f"{each['hit_rate']:.1%}" for name, each in told["algorithms"].items()}
    alone = f"{told['expected']['1']:.1%}"
    rows = [
        [n, alone, had["hash"] if n == "2" else "", f"{share:.1%}", had["roundrobin"] if n == "2" else ""]
        for n, share in told["expected"].items()
    ]
    return table(["replicas", "hash, expected", "measured", "roundrobin, expected", "measured"], rows)


def planned(want: Want = ASKED) -> str:
    """What `recsys capacity --rps 5000 --p99-ms 50` prints."""
    told = plan(Measured.load(REPORT), want)
    rows = [[name, *map(_number, numbers)] for name, *numbers in told.rows]
    return table(["", "estimate", "from", "to"], rows)


README: Mapping[str, Callable[[], str]] = {"load": load}
CAPACITY: Mapping[str, Callable[[], str]] = {
    "held_back": held_back,
    "fitted": fitted,
    "parts": parts,
    "sizes": sizes,
    "planned": planned,
    "paper": partial(planned, PAPER),
    "caches": caches,
}
"""Blocks by name, of each document."""


def _rate(point: Mapping[str, Any]) -> float:
    return float(point["requests_per_second"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def _size(name: str, unit: str, each: float) -> list[str]:
    return [name, unit, f"{each:,.0f}", *(f"{each * n / 1e9:,.1f}" for n in SIZES[unit])]
