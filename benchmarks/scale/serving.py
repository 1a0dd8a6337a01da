"""Whether answers wait where there are many items: `python benchmarks/scale/serving.py RELEASES ...`.

The newest release in each folder of RELEASES and that of the repository's own pipeline, which comes first,
each with one worker and no cache, asked for lists of 20 by users drawn by how much they did: by one
connection, which tells how long an answer takes, and by eight, which tell how many there are. In turn,
medians over the rounds. Writes reports/benchmarks/scale_serving.json: of each release what there is in it,
milliseconds, requests a second, the worker's memory, and how many times its p99 is that of the first.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks" / "serving")]

from load import closed  # noqa: E402
from servers import RELEASES, REPORTS, SERVICE, served  # noqa: E402
from traffic import K, Traffic, recommend  # noqa: E402

from recsys.artifacts import write_json  # noqa: E402
from recsys.release import Release, list_releases  # noqa: E402
from recsys.types import Interactions  # noqa: E402

CONNECTIONS = 8
MEASURED = ("p50_ms", "p99_ms", "requests_per_second", "ready_seconds", "rss_mb", "own_mb", "failed")


def main() -> None:
    arguments = parse()
    folders = [RELEASES, *arguments.releases]
    releases = [list_releases(folder)[-1] for folder in folders]
    traffic = [Traffic(release.folder) for release in releases]
    asks = [[recommend(user) for user in each.users(arguments.users)] for each in traffic]
    rows = []
    for number in range(arguments.rounds):
        for place, folder in enumerate(folders):
            found = measured(folder, releases[place].id, asks[place], arguments.seconds)
            rows.append({"place": place, **found})
            print(f"round {number + 1}: {rows[-1]}", flush=True)
    medians = pd.DataFrame(rows).groupby("place")[list(MEASURED)].median()
    medians["p99_ratio"] = medians["p99_ms"] / medians.loc[0, "p99_ms"]
    there = [inside(release, each.past) for release, each in zip(releases, traffic, strict=True)]
    told = [each | medians.loc[place].to_dict() for place, each in enumerate(there)]
    report = {"k": K, "rounds": arguments.rounds, "releases": told}
    write_json(REPORTS / "scale_serving.json", report)
    print(json.dumps(report, indent=2))


def inside(release: Release, past: Interactions) -> dict[str, float]:
    """What there is in a release."""
    return {
        "users": past.n_users,
        "items": past.n_items,
        "interactions": len(past),
        "release_mb": sum(file.size for file in release.manifest.files.values()) / 1e6,
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("releases", type=Path, nargs="+", help="folders of releases")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each load (default: %(default)s)")
    parser.add_argument("--users", type=int, default=5000, help="who ask (default: %(default)s)")
    return parser.parse_args()


def measured(releases: Path, id_: str, asks: list[bytes], seconds: float) -> dict[str, Any]:
    """What one worker is asked, once it has been asked for a while."""
    with TemporaryDirectory() as store:
        told = {
            "RECSYS_RELEASES": str(releases.resolve()),
            "RECSYS_RELEASE": id_,
            "RECSYS_STORE": store,
            "RECSYS_CACHE_MB": "0",
        }
        with served(*SERVICE, told) as server:
            closed(server.port, cycle(asks), CONNECTIONS, seconds)
            alone = closed(server.port, cycle(asks), 1, seconds)
            full = closed(server.port, cycle(asks), CONNECTIONS, seconds)
            memory = psutil.Process(server.worker()).memory_full_info()
            return {
                "p50_ms": alone.quantile(0.5),
                "p99_ms": alone.quantile(0.99),
                "requests_per_second": full.per_second,
                "ready_seconds": server.ready_after,
                "rss_mb": memory.rss / 1e6,
                "own_mb": memory.uss / 1e6,
                "failed": alone.failed + full.failed,
            }


if __name__ == "__main__":
    main()
