"""The images, built and run for real: `python benchmarks/image/run.py`, or `make image`.

podman builds them (deploy/image.py). Those of the Dockerfile run with as little as they need: without root,
without any capability, with nothing but /tmp to write to. One pulls its release from an S3 of this machine,
one has it baked in. BentoML's runs as BentoML's images do, with releases mounted. Each is asked for the
lists of users drawn at random, which must be those of `recsys recommend`: items in the same order, scores
the same to 0.000001. Writes a report (JSON); exit code 1 where an image is not what it should be. Needs
root, podman, buildah, runc, debootstrap.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import sched_getaffinity
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import llvmlite.binding as llvm
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "benchmarks" / "serving")]

from image import BENTOML, CONFINED, TARGETS, Container, Image, ImageError, base, build  # noqa: E402
from load import closed  # noqa: E402
from parity import CLOSE, PATIENT, Lists, answered, compared, exported  # noqa: E402
from processes import ServerError, free_port  # noqa: E402
from stack import REMOTE, Stack  # noqa: E402
from traffic import recommend  # noqa: E402

from recsys.artifacts import write_json  # noqa: E402
from recsys.catalogue import Catalogue  # noqa: E402
from recsys.release import RECOMMENDER, ReleaseError, live_release  # noqa: E402

MOST_MB, READY_IN = 900, 5.0
"""What an image may take, and how many seconds it has until it answers."""
SEED = 0
NO_CACHE = {"RECSYS_CACHE_MB": "0"}
INSIDE = Path(__file__).with_name("inside.py").read_text()
HARMLESS = {
    "healthy": True,
    "read_only_root": True,
    "capabilities": 0,
    "no_new_privileges": True,
    "build_tools": [],
    "unwanted_packages": [],
    "leftovers": [],
    "kernels_compiled_at_start": 0,
}
"""What must be told of an image of the Dockerfile, most of it by `inside.py`."""


def main() -> int:
    """0; 1 where an image is not what it should be, 2 where it cannot be told."""
    arguments = parse()
    try:
        report = measured(arguments)
    except (ImageError, ReleaseError, ServerError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 2
    write_json(arguments.out, report)
    print(json.dumps(report, indent=2))
    return 1 if report["faults"] else 0


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    release = live_release(arguments.releases).folder.resolve()
    ids = Catalogue.load(release / RECOMMENDER / "catalogue").users.ids
    users = np.random.default_rng(SEED).choice(ids, min(arguments.users, len(ids)), replace=False).tolist()
    start = base(arguments.base)
    images = {target: build(target, start) for target in TARGETS}
    with TemporaryDirectory() as folder:
        measure = Measure(Path(folder), users, exported(release, Path(folder) / "lists.parquet"))
        mounted = {"RECSYS_RELEASES": "/mounted"}, [f"--volume={release.parent}:/mounted:ro"]
        with published(Path(folder), release) as remote:
            told = {
                "service": measure(images["service"], remote, CONFINED),
                "with-release": measure(images["with-release"], {}, CONFINED),
                BENTOML: measure(images[BENTOML], *mounted),
            }
        by_processor = {
            "image": told["with-release"]["p50_ms"],
            "this_one": measure.p50(images["with-release"], this_processor()),
        }
    return {
        "base": start,
        "cpus": len(sched_getaffinity(0)),
        "images": told,
        "kernels_for": {"processor": llvm.get_host_cpu_name(), "p50_ms": by_processor},
        "faults": [f"{name}: {fault}" for name, each in told.items() for fault in wrong(name, each)],
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", metavar="IMAGE", help="to start from, rather than the published one")
    parser.add_argument("--users", type=int, default=1000, help="asked for (default: %(default)s)")
    parser.add_argument("--releases", type=Path, default=ROOT / "artifacts" / "releases")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "benchmarks" / "image.json")
    return parser.parse_args()


@contextmanager
def published(folder: Path, release: Path) -> Iterator[Mapping[str, str]]:
    """An S3 on which this release is to answer; what a container is told to pull it."""
    stack = Stack.in_folder(folder / "stack", free_port())
    try:
        stack.s3.start()
        stack.publish(release)
        yield {"RECSYS_REMOTE": REMOTE, **stack.s3.credentials("reader")}
    finally:
        stack.s3.stop()


class Measure:
    """Runs images, and compares what they answer to ``users`` with the lists of the command line."""

    def __init__(self, folder: Path, users: Sequence[str], expected: Lists) -> None:
        self.folder, self.users, self.expected = folder, users, expected

    def __call__(self, image: Image, told: Mapping[str, str], options: Sequence[str] = ()) -> dict[str, Any]:
        """What is seen of an image."""
        container = Container(self.folder / "container", image, {**told, **PATIENT, **NO_CACHE}, options)
        with running(container) as first:
            pass
        with running(container) as again:
            parity = compared(answered(container.port, self.users), self.expected)
            inside = json.loads(container.within(["python", "-"], INSIDE))
            healthy = container.is_healthy()
            p50 = self._p50(container)
            began = time.perf_counter()
            container.stop()
            ended = time.perf_counter() - began
        return {
            "megabytes": image.megabytes,
            "seconds_until_ready": {"first": first, "again": again},
            "seconds_until_ended": ended,
            "p50_ms": p50,
            "healthy": healthy,
            **parity,
            **inside,
        }

    def p50(self, image: Image, told: Mapping[str, str]) -> float:
        """Milliseconds that a list takes when the image is told this."""
        container = Container(self.folder / "container", image, {**told, **PATIENT, **NO_CACHE}, CONFINED)
        with running(container):
            return self._p50(container)

    def _p50(self, container: Container) -> float:
        return closed(container.port, [recommend(user) for user in self.users], 1).quantile(0.5)


@contextmanager
def running(container: Container) -> Iterator[float]:
    """Seconds until it was ready."""
    began = time.perf_counter()
    try:
        container.start()
        yield time.perf_counter() - began
    finally:
        container.stop()


def this_processor() -> Mapping[str, str]:
    """Lets an image compile its kernels anew, for what this machine has."""
    features = llvm.get_host_cpu_features().flatten()
    return {"NUMBA_CPU_NAME": llvm.get_host_cpu_name(), "NUMBA_CPU_FEATURES": features, "RECSYS_KERNELS": ""}


def wrong(name: str, told: Mapping[str, Any]) -> list[str]:
    """In what an image is not what it should be."""
    expected = {"identical_lists": told["users"]} | ({} if name == BENTOML else HARMLESS)
    faults = [f"{key} is {told[key]}" for key, value in expected.items() if told[key] != value]
    if told["uid"] == 0:
        faults.append("runs as root")
    if told["largest_score_difference"] > CLOSE:
        faults.append(f"scores differ by {told['largest_score_difference']}")
    if told["megabytes"] > MOST_MB:
        faults.append(f"takes more than {MOST_MB} MB")
    if max(told["seconds_until_ready"].values()) > READY_IN:
        faults.append(f"is not ready in {READY_IN} s")
    return faults


if __name__ == "__main__":
    sys.exit(main())
