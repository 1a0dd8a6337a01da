"""Whether a worker grows, and how soon it answers: `python benchmarks/serving/growth.py`.

One worker of the service, events in LMDB, its cache as it is by default. Eight connections that never pause
ask for recommendations (90 %), for similar items (5 %) and tell of events (5 %); who did much asks much. Once
a second the memory of the process that answers is read. The service is started twice, with compiled kernels
kept in a folder that is empty at first: seconds until it is ready are of both, memory is of the second.
Writes a report (JSON) and its figure beside it (PNG). Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import pandas as pd
from load import Load, closed
from servers import RELEASES, REPORTS, SERVICE, served
from traffic import Traffic

from recsys import plots
from recsys.artifacts import write_json
from recsys.release import list_releases

CONNECTIONS = 8
EVERY = 1.0
"""Seconds between two looks at the memory."""
SETTLED = 10_000
"""Requests after which caches of all kinds have been used."""
MEMORY = {
    "rss_mb": ("Rss",),
    "pss_mb": ("Pss",),
    "uss_mb": ("Private_Clean", "Private_Dirty"),
    "heap_mb": ("Anonymous",),
}
"""What is read of a process: all it has in memory, with its part of what it shares, its own, of no file."""
COUNT = "from importlib.metadata import distributions; print(len({each.name for each in distributions()}))"


def main() -> None:
    arguments = parse()
    with TemporaryDirectory() as folder:
        told = {
            "RECSYS_RELEASES": str(arguments.releases.resolve()),
            "RECSYS_STORE": f"{folder}/store",
            "NUMBA_CACHE_DIR": f"{folder}/kernels",
        }
        with served(*SERVICE, told, arguments.python) as server:
            first = server.ready_after
        with served(*SERVICE, told, arguments.python) as server:
            traffic = Traffic(list_releases(arguments.releases)[-1].folder)
            load, samples = watched(server.port, server.worker(), traffic.mixed(arguments.requests))
    report = {
        "requests": len(load.seconds),
        "requests_per_second": load.per_second,
        "failed": load.failed,
        "cpus": len(sched_getaffinity(0)),
        "packages": int(subprocess.check_output([arguments.python, "-c", COUNT])),
        "seconds_until_ready": {"first": first, "again": server.ready_after},
        "memory": {measure: summary(samples, measure) for measure in MEMORY},
    }
    write_json(arguments.out, report)
    plots.save(plots.memory_over_requests(samples, trend(samples)), arguments.out.with_suffix(".png"))
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=200_000, help="(default: %(default)s)")
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="what serves: an environment of the serve group, say (default: this)",
    )
    parser.add_argument("--releases", type=Path, default=RELEASES, help="the newest in this folder answers")
    parser.add_argument("--out", type=Path, default=REPORTS / "growth.json", help="the report")
    return parser.parse_args()


def watched(port: int, pid: int, requests: Iterator[bytes]) -> tuple[Load, pd.DataFrame]:
    """Ask all ``requests``; memory of the process ``pid`` before, about every second, and at the end."""
    samples: list[dict[str, float]] = []

    def sampled() -> Iterator[bytes]:
        due = 0.0
        for number, request in enumerate(requests):
            if perf_counter() >= due:
                samples.append({"requests": number, **memory(pid)})
                due = perf_counter() + EVERY
            yield request

    load = closed(port, sampled(), CONNECTIONS)
    samples.append({"requests": len(load.seconds), **memory(pid)})
    return load, pd.DataFrame(samples)


def memory(pid: int) -> dict[str, float]:
    """Megabytes of a process by `MEMORY`."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    kilobytes = {name.rstrip(":"): int(number) for name, number, _ in lines}
    return {measure: sum(kilobytes[part] for part in parts) * 1.024e-3 for measure, parts in MEMORY.items()}


def summary(samples: pd.DataFrame, measure: str) -> dict[str, float | None]:
    """Megabytes at the three moments that matter, and how fast they grow in the second half."""
    settled = samples.loc[samples["requests"] >= SETTLED, measure]
    return {
        "after_start": samples[measure].iloc[0],
        f"after_{SETTLED}": None if settled.empty else settled.iloc[0],
        "at_end": samples[measure].iloc[-1],
        "mb_per_100000_requests": trend(samples, measure)[0] * 1e5,
    }


def trend(samples: pd.DataFrame, measure: str = "rss_mb") -> np.ndarray:
    """Line through the second half: slope and offset by requests."""
    half = samples[samples["requests"] >= samples["requests"].max() / 2]
    return np.polyfit(half["requests"], half[measure], 1)


if __name__ == "__main__":
    main()
