"""What people see while parts of the stack fail: `python benchmarks/drills/run.py`.

Two replicas behind HAProxy, Redis and S3 as processes of this machine (deploy/stack.py). Four connections ask
without a pause for lists of users drawn by their activity, while one thing happens after the other
(deploy/drills.py). Writes answers, failed ones, and how long they took, by drill. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "benchmarks" / "serving")]

from drills import DRILLS  # noqa: E402
from load import during  # noqa: E402
from processes import free_port  # noqa: E402
from stack import Stack  # noqa: E402
from traffic import Traffic, recommend  # noqa: E402

from recsys.artifacts import write_json  # noqa: E402
from recsys.release import RECOMMENDER, Release, build, live_release  # noqa: E402

CONNECTIONS = 4
USERS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--releases", type=Path, default=ROOT / "artifacts" / "releases")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "benchmarks" / "drills.json")
    arguments = parser.parse_args()
    release = live_release(arguments.releases)
    asks = [recommend(user) for user in Traffic(release.folder).users(USERS)]
    with TemporaryDirectory() as folder:
        folders = [release.folder.resolve(), another(release, Path(folder) / "other").folder]
        with Stack.in_folder(Path(folder), free_port()).running(folders[0]) as stack:
            drills = {name: drilled(stack, folders, asks, name) for name in DRILLS}
    report = {"connections": CONNECTIONS, "cpus": len(sched_getaffinity(0)), "drills": drills}
    write_json(arguments.out, report)
    print(json.dumps(report, indent=2))


def another(release: Release, into: Path) -> Release:
    """The same in all but its id."""
    manifest = release.manifest
    return build(
        {RECOMMENDER: release.folder / RECOMMENDER},
        into,
        params={"another": True},
        metrics=manifest.metrics,
        data_hash=manifest.data_hash,
        fingerprint=manifest.fingerprint,
        newest_event=manifest.newest_event,
        revision=manifest.revision,
    )


def drilled(stack: Stack, folders: list[Path], asks: list[bytes], name: str) -> dict[str, float]:
    """What was seen during one drill."""
    answers = stack.replicas[0].release()
    other = next(folder for folder in folders if folder.name != answers)
    load = during(stack.proxy.port, asks, CONNECTIONS, lambda: DRILLS[name](stack, other))
    print(f"{name}: {len(load.seconds)} answers, {load.failed} failed", flush=True)
    return {
        "answers": len(load.seconds),
        "failed": load.failed,
        "seconds": load.took,
        "p50_ms": load.quantile(0.5),
        "p99_ms": load.quantile(0.99),
        "slowest_ms": load.quantile(1),
    }


if __name__ == "__main__":
    main()
