"""How many requests a second one worker answers, and how long they wait: `python benchmarks/serving/run.py`.

Contenders, each with one worker and lists of 20, for users drawn by how much they did:

  trivial   an endpoint as BentoML's documents show it, always with the same answer
  mounted   a Starlette app in BentoML that does the same
  foremost  an ASGI layer before BentoML's own, where the service stands too: the leanest way
  embedded  the service, events in LMDB, no cache
  redis     the service, events in Redis, no cache
  awake     embedded, with a worker that does not sleep for 10 ms after an answer
  cached    the service, events in LMDB, every answer in the cache

Only one runs at a time: it is started, warmed with each of the requests, measured, stopped. Rounds follow
each other, contenders in turn; medians over the rounds are reported. Eight connections that never pause tell
what a server can do (its peak), one how long an answer takes, and requests that come as they come (Poisson)
at shares of its own peak what waiting does. Writes a report (JSON) and its figure beside it (PNG). Takes
about forty minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from itertools import cycle
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from load import Load, closed, opened
from servers import RELEASES, REPORTS, SERVICE, Server, redis_server, served
from traffic import K, Traffic, recommend

from recsys import plots
from recsys.artifacts import write_json
from recsys.release import list_releases

FLOORS, OURS = ("trivial", "mounted", "foremost"), ("cached", "embedded", "redis", "awake")
GROUPS = {"answers are made": ("embedded", "redis", "awake"), "answers are ready": (*FLOORS, "cached")}
"""Of the figure: these are of other orders of magnitude than those."""
NO_CACHE = {"RECSYS_CACHE_MB": "0"}
AWAKE = {"RECSYS_AWAKE_MS": "10"}
WHOLE_CACHE = {"RECSYS_CACHE_MB": "1000", "RECSYS_CACHE_SECONDS": "86400"}
CACHED = "recsys_cached_answers_total"
"""The service's metric."""
CONNECTIONS = 8
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Of a server's peak: loads at which waiting is measured."""
HALF = 0.5


def main() -> None:
    arguments = parse()
    traffic = Traffic(list_releases(arguments.releases)[-1].folder)
    users = traffic.users(arguments.requests)
    peaks, loads = measured(arguments, [recommend(user) for user in users])
    told = {
        "k": K,
        "requests": len(users),
        "distinct_users": len(set(users)),
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "connections": CONNECTIONS,
        "cpus": len(sched_getaffinity(0)),
        "bentoml": version("bentoml"),
    }
    report = told | summary(peaks, loads)
    write_json(arguments.out, report)
    figure = plots.waiting_by_load(pd.DataFrame(report["by_load"]), GROUPS, FLOORS)
    plots.save(figure, arguments.out.with_suffix(".png"))
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (default: %(default)s)")
    parser.add_argument(
        "--requests", type=int, default=5000, help="that are asked over and over (default: %(default)s)"
    )
    parser.add_argument("--releases", type=Path, default=RELEASES, help="the newest in this folder answers")
    parser.add_argument("--out", type=Path, default=REPORTS / "serving.json", help="the report")
    return parser.parse_args()


def measured(arguments: argparse.Namespace, asks: Sequence[bytes]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each round saw of each contender: at its peak and alone, and by load."""
    peaks, loads = [], []
    for number in range(arguments.rounds):
        for name in (*FLOORS, *OURS):
            with started(name, arguments.releases) as server:
                closed(server.port, dict.fromkeys(asks), CONNECTIONS)
                peak, waiting = visit(server, asks, arguments.seconds)
            peaks.append({"server": name, **peak})
            loads += [{"server": name, **each} for each in waiting]
            print(f"round {number + 1}: {name} {peak['requests_per_second']:.0f} requests/s", flush=True)
    return pd.DataFrame(peaks), pd.DataFrame(loads)


@contextmanager
def started(name: str, releases: Path) -> Iterator[Server]:
    """The contender ``name``, alone."""
    with ExitStack() as stack:
        if name in FLOORS:
            yield stack.enter_context(served(Path(__file__).parent, f"{name}:{name.capitalize()}", {}))
            return
        folder = stack.enter_context(TemporaryDirectory())
        told = {
            "RECSYS_RELEASES": str(releases.resolve()),
            "RECSYS_STORE": stack.enter_context(redis_server()) if name == "redis" else folder,
            **(WHOLE_CACHE if name == "cached" else NO_CACHE),
            **(AWAKE if name == "awake" else {}),
        }
        yield stack.enter_context(served(*SERVICE, told))


def visit(
    server: Server, asks: Sequence[bytes], seconds: float
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Figures of one server: of its peak and of one connection, and of each share of its peak."""
    port, cached = server.port, server.counted(CACHED)
    full = closed(port, cycle(asks), CONNECTIONS, seconds)
    cached = server.counted(CACHED) - cached
    alone = closed(port, cycle(asks), 1, seconds)
    loads = [(share, opened(port, cycle(asks), share * full.per_second, seconds)) for share in SHARES]
    peak = {
        "requests_per_second": full.per_second,
        "from_cache": cached / len(full.seconds),
        "load_generator_busy": full.busy,
        **quantiles(alone),
        "failed": full.failed + alone.failed,
    }
    return peak, [
        {
            "share_of_peak": share,
            "requests_per_second": share * full.per_second,
            "answers_per_second": load.per_second,
            **quantiles(load),
            "failed": load.failed,
        }
        for share, load in loads
    ]


def quantiles(load: Load) -> dict[str, float]:
    return {"p50_ms": load.quantile(0.5), "p99_ms": load.quantile(0.99)}


def summary(peaks: pd.DataFrame, loads: pd.DataFrame) -> dict[str, Any]:
    """Medians over the rounds (of failures the sum), and how far ours are from the floors."""
    servers, by_load = medians(peaks, ["server"]), medians(loads, ["server", "share_of_peak"])
    half = by_load.xs(HALF, level="share_of_peak")["p99_ms"]
    servers["half_load_p99_ms"] = half
    servers["failed"] += loads.groupby("server")["failed"].sum()
    peak, alone = servers["requests_per_second"], servers["p50_ms"]
    return {
        "servers": servers.to_dict("index"),
        "by_load": by_load.reset_index().to_dict("records"),
        "ratio": {f"to_{floor}": {name: peak[name] / peak[floor] for name in OURS} for floor in FLOORS},
        "added_ms": {f"to_{floor}": {name: alone[name] - alone[floor] for name in OURS} for floor in FLOORS},
    }


def medians(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    groups = rows.groupby(by, sort=False)
    return groups.median().assign(failed=groups["failed"].sum())


if __name__ == "__main__":
    main()
