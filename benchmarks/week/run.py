"""A simulated week, each of its days trained in full and partially: `python benchmarks/week/run.py`.

Before each day releases are made of all that happened until then: one by `recsys train --mode full`, others
by `recsys train --mode partial`, which goes on from the one published before, passes the gate (or does not)
and is published on an S3 server. What is trained from scratch owes some of its worth to what was drawn, and
all that goes on from it inherits that; so there are as many chains of partial training as ``--seeds``, each
from a full training of its own. week.ipynb then asks all of them what they would have shown on their day,
and writes reports/benchmarks/week.json and week.png. Takes about an hour; with ``--resume`` it goes on
where it was.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from queue import Queue

import papermill
import yaml
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "notebooks")]

from preset import lay_out  # noqa: E402
from processes import BIN, BUCKET, S3  # noqa: E402

from recsys.artifacts import read_json, write_json  # noqa: E402

REMOTE = f"s3://{BUCKET}/week"
REFUSED = 1
"""Exit code of `recsys train` where the gate refuses."""


@dataclass(frozen=True)
class Trained:
    """A release made for ``day``, ``folder``; what making it took, and whether the gate let it pass."""

    day: str
    mode: str
    seed: int
    folder: str
    seconds: float
    cpu_seconds: float
    passed: bool


class Workspace:
    """A copy of the sources in a folder, with a cache of its own: nothing is taken from earlier runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lay_out(folder, None, folder / ".dvc" / "cache")
        raw, own = ROOT / "data" / "raw", folder / "data" / "raw"
        if raw.is_dir() and not own.is_dir():
            shutil.copytree(raw, own)

    def train(self, day: date, mode: str, seed: int, *options: str, **variables: str) -> Trained:
        """Train for ``day``: on all before it, with the day itself as test data."""
        params = yaml.safe_load((self.folder / "params.yaml").read_text()) | {"seed": seed}
        params["data"] |= {"day": str(day), "splits": {"global_time": {"late": 0.1, "valid": 0.1, "test": 1}}}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        command = [str(BIN / "recsys"), "train", "--mode", mode, *options]
        began = time.monotonic()
        with (self.folder / f"{mode}-{day}.log").open("w+") as log:
            running = subprocess.Popen(
                command, cwd=self.folder, env=environment() | variables, stdout=log, stderr=log
            )
            _, status, used = os.wait4(running.pid, 0)
            seconds, code = time.monotonic() - began, os.waitstatus_to_exitcode(status)
            log.seek(0)
            said = log.read()
        if code not in (0, REFUSED):
            raise SystemExit(f"{' '.join(command)}: {said[-3000:]}")
        made = self.folder / re.findall(r"^artifacts/\S+$", said, re.MULTILINE)[-1]
        kept = self.folder.parent / "releases" / f"{mode}-{day}-{seed}"
        shutil.copytree(made, kept)
        return Trained(str(day), mode, seed, str(kept), seconds, used.ru_utime + used.ru_stime, code == 0)


def environment() -> dict[str, str]:
    """One thread a process, and this environment's programs first."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class Done:
    """What has been trained, in a file; what stands there is not done again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = [Trained(**row) for row in read_json(path)] if path.exists() else []

    def find(self, day: date, mode: str, seed: int) -> Trained | None:
        wanted = (str(day), mode, seed)
        return next((each for each in self.rows if (each.day, each.mode, each.seed) == wanted), None)

    def add(self, trained: Trained) -> Trained:
        self.rows.append(trained)
        write_json(self.path, [asdict(each) for each in self.rows])
        return trained


def in_full(done: Done, wanted: Sequence[tuple[date, int]], jobs: int) -> None:
    """Full training for each day and seed ``wanted``, ``jobs`` of them at a time."""
    free: Queue[Workspace] = Queue()
    for number in range(jobs):
        free.put(Workspace(done.path.parent / f"full-{number}"))

    def train(day: date, seed: int) -> None:
        if done.find(day, "full", seed) is not None:
            return
        workspace = free.get()
        try:
            done.add(workspace.train(day, "full", seed, "--no-gate"))
        finally:
            free.put(workspace)

    with ThreadPoolExecutor(jobs) as pool:
        list(tqdm(pool.map(lambda each: train(*each), wanted), total=len(wanted), desc="full"))


def partially(done: Done, days: Sequence[date], start: Trained) -> None:
    """Partial training, day after day, from the release ``start`` on; a chain is done as a whole."""
    into, seed, remote = done.path.parent, start.seed, f"{REMOTE}/{start.seed}"
    if done.find(days[-1], "partial", seed) is not None:
        return
    done.rows = [each for each in done.rows if (each.mode, each.seed) != ("partial", seed)]
    for folder in (into / f"s3-{seed}", into / f"partial-{seed}", *into.glob(f"releases/partial-*-{seed}")):
        shutil.rmtree(folder, ignore_errors=True)
    server = S3(into / f"s3-{seed}")
    server.start()
    try:
        told = server.credentials()
        publish = [str(BIN / "recsys"), "release", "publish", start.folder, "--no-gate", "--remote", remote]
        subprocess.run(publish, env=environment() | told, stdout=subprocess.DEVNULL, check=True)
        workspace = Workspace(into / f"partial-{seed}")
        for day in tqdm(days, desc=f"partial, seed {seed}"):
            done.add(workspace.train(day, "partial", seed, "--remote", remote, **told))
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=date.fromisoformat, default=date(2000, 8, 21), metavar="YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44], help="(42 43 44)")
    parser.add_argument("--jobs", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT / ".week", help="emptied first")
    parser.add_argument("--resume", action="store_true", help="not emptied")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "benchmarks")
    arguments = parser.parse_args()
    into, out = arguments.into.resolve(), arguments.out.resolve()
    os.chdir(ROOT)
    if not arguments.resume:
        shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True, exist_ok=True)
    eve, seeds, done = arguments.first - timedelta(days=1), arguments.seeds, Done(into / "trained.json")
    days = [arguments.first + timedelta(days=number) for number in range(arguments.days)]
    in_full(done, [*((eve, seed) for seed in seeds), *((day, seeds[0]) for day in days)], arguments.jobs)
    for seed in seeds:
        start = done.find(eve, "full", seed)
        assert start is not None
        partially(done, days, start)
    papermill.execute_notebook(
        str(Path(__file__).with_name("week.ipynb")),
        str(into / "week.ipynb"),
        {"trained": str(into / "trained.json"), "raw": str(ROOT / "data" / "raw"), "out": str(out)},
        kernel_name="python3",
    )


if __name__ == "__main__":
    main()
