"""`recsys capacity`: how many machines a load takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CURVE = Path("reports/benchmarks/capacity.json")


def capacity(
    rps: Annotated[float, typer.Option("--rps", min=1, help="Requests for lists a second, at the peak.")],
    p99_ms: Annotated[float, typer.Option("--p99-ms", min=0.1, help="What 99 of 100 may wait at most.")],
    users: Annotated[float, typer.Option("--users", min=1, help="Users.")] = 1e6,
    items: Annotated[float, typer.Option("--items", min=1, help="Items.")] = 1e5,
    interactions: Annotated[
        float, typer.Option("--interactions", min=0, help="Of a user, that the release knows.")
    ] = 150,
    events: Annotated[float, typer.Option("--events", min=0, max=500, help="Of a user, since then.")] = 50,
    machine_price: Annotated[float, typer.Option("--machine-price", min=0, help="Of an hour.")] = 0.4,
    cores: Annotated[int, typer.Option("--cores-per-machine", min=1, help="As fast as those measured.")] = 8,
    memory: Annotated[float, typer.Option("--memory-per-machine", min=0.1, help="GB.")] = 32,
    utilization: Annotated[
        float, typer.Option("--utilization", min=0.05, max=0.95, help="Share of cores and memory in use.")
    ] = 0.7,
    curve: Annotated[
        Path, typer.Option("--curve", metavar="FILE", help="What benchmarks/capacity/run.py measured.")
    ] = CURVE,
) -> None:
    """Say how many machines a load takes, how much memory, and what a million requests cost.

    Every answer is made, none comes from a cache. "from" and "to" are as far apart as the model was off at
    points that it was not shown. There is no network in it: take what that adds off --p99-ms.

    \b
    Examples:
      recsys capacity --rps 5000 --p99-ms 50
      recsys capacity --rps 5000 --p99-ms 50 --users 2e7 --items 1e6 --machine-price 0.38
    """  # noqa: D301
    from recsys.capacity import Measured, Want, plan
    from recsys.cli.table import table

    measured = Measured.load(curve)
    want = Want(rps, p99_ms, users, items, interactions, events, cores, memory, utilization, machine_price)
    planned = plan(measured, want)
    rows = [[name, *(_number(each) for each in numbers)] for name, *numbers in planned.rows]
    typer.echo("\n".join(table(["", "estimate", "from", "to"], rows)))
    fitted = measured.fitted
    errors = {measure: fitted.error(measure) for measure in ("requests_per_second", "p50_ms", "p99_ms")}
    typer.echo(
        "points held back were missed by at most {requests_per_second:.0%} (throughput), "
        "{p50_ms:.0%} (p50) and {p99_ms:.0%} (p99)".format(**errors)
    )
    for note in planned.notes:
        typer.echo(f"note: {note}")


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) or value >= 1000 else f"{value:.3g}"
