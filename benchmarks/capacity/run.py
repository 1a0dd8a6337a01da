"""What the whole topology answers, holds and costs: `python benchmarks/capacity/run.py`.

Two replicas with one worker each behind HAProxy, with Redis, as processes of this machine (deploy/stack.py),
asked for lists of 20 by users drawn by their activity:

  curve    no cache; 1 to 32 connections that ask without a pause, and requests that come by chance (Poisson)
           at shares of the most that was answered, at one replica and at two; processor time a request of
           replicas, HAProxy, Redis and of asking. `recsys.capacity` is fitted to all but some points
  balance  the cache as it is by default, and some users tell of events: each user to one replica (hash)
           beside everybody everywhere in turn (roundrobin), at a given rate and without a pause
  sizes    what a Redis takes with so many users, and what of a release's tables belongs to a user, an item or
           an interaction

All of it shares the cores of this machine, also the asking: two replicas are not two machines. Medians over
the rounds. Writes a report (JSON), which `recsys capacity` reads, and its figure beside it (PNG); parts that
are not asked for stay as they are there. Takes about 40 minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from os import sched_getaffinity
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "benchmarks" / "serving")]

import pandas as pd  # noqa: E402
from balance import CACHES, compared, expected  # noqa: E402
from curve import LONGER, curve, resident, running  # noqa: E402
from figure import load_curves  # noqa: E402
from sizes import bytes_of_an_id, counts, in_redis, redis_slopes, table_slopes, tables  # noqa: E402
from traffic import K, Traffic, recommend  # noqa: E402

from recsys.artifacts import read_json, write_json  # noqa: E402
from recsys.capacity import Fitted, fit  # noqa: E402
from recsys.plots import save  # noqa: E402
from recsys.release import live_release  # noqa: E402

USERS = 5000
LASTS = f"of each point, {LONGER} times as many where requests come by chance (default: %(default)s)"
NO_CACHE = {"RECSYS_CACHE_MB": "0"}


def main() -> None:
    arguments = parse()
    release = live_release(arguments.releases).folder.resolve()
    report: dict[str, Any] = read_json(arguments.out) if arguments.out.exists() else {}
    for part in arguments.parts:
        found = PARTS[part](release, arguments)
        print(json.dumps(found, indent=2), flush=True)
        report |= found
        write_json(arguments.out, report)
    points = report["points"]
    save(load_curves(pd.DataFrame(points), fit(points)), arguments.out.with_suffix(".png"))


def measured_curve(release: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    asks = [recommend(user) for user in Traffic(release).users(USERS)]
    with running(release, **NO_CACHE) as stack:
        points = curve(stack, asks, arguments.seconds, arguments.rounds)
        worker = resident(stack)
    return {
        "k": K,
        "cpus": len(sched_getaffinity(0)),
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "points": points,
        "fitted": told(fit(points)),
        "worker": {**worker, "bytes": worker["uss_mb"] * 1e6, "id": bytes_of_an_id()},
    }


def measured_balance(release: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    rate, seconds = arguments.rate, arguments.seconds
    by_chance = {caches: expected(Traffic(release), rate, seconds, caches) for caches in CACHES}
    algorithms = compared(release, rate, seconds, arguments.rounds)
    return {"balance": {"requests_per_second": rate, "algorithms": algorithms, "expected": by_chance}}


def measured_sizes(release: Path, _: argparse.Namespace) -> dict[str, Any]:
    of = counts(release)
    weighed, stored = tables(release, of), in_redis(release)
    return {
        "of": of,
        "stored": stored.to_dict("records"),
        "redis": redis_slopes(stored),
        "weighed": weighed.to_dict("records"),
        "tables": table_slopes(weighed),
    }


PARTS = {"curve": measured_curve, "balance": measured_balance, "sizes": measured_sizes}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="(all)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help=LASTS)
    parser.add_argument(
        "--rate", type=float, default=400.0, help="of requests to warm caches (default: %(default)s)"
    )
    parser.add_argument(
        "--releases", type=Path, default=ROOT / "artifacts" / "releases", help="the live one in it answers"
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "reports" / "benchmarks" / "capacity.json", help="the report"
    )
    return parser.parse_args()


def told(fitted: Fitted) -> dict[str, Any]:
    """Numbers with their standard errors, and points held back."""
    return {
        "throughput": _with_errors(asdict(fitted.scaling), fitted.scaling_errors),
        "waiting": _with_errors(asdict(fitted.queue), fitted.queue_errors),
        "held_back": list(fitted.held_back),
    }


def _with_errors(numbers: dict[str, float], errors: Any) -> dict[str, dict[str, float]]:
    return {
        name: {"value": value, "error": error}
        for (name, value), error in zip(numbers.items(), errors, strict=True)
    }


if __name__ == "__main__":
    main()
