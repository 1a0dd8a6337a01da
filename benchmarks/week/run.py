"""A simulated week, each of its days trained in full and partially: `python benchmarks/week/run.py`.

Before each day two releases are made of all that happened until then: one by `recsys train --mode full`, the
other by `recsys train --mode partial`, which goes on from the one published before, passes the gate (or does
not) and is published on an S3 server. week.ipynb then asks all of them what they would have shown on their
day, and writes reports/benchmarks/week.json and week.png. Full training, of ``--jobs`` days at a time, takes
most of an hour.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
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

from recsys.artifacts import write_json  # noqa: E402

REMOTE = f"s3://{BUCKET}/week"
REFUSED = 1
"""Exit code of `recsys train` where the gate refuses."""


@dataclass(frozen=True)
class Trained:
    """A release made for ``day``, ``folder``; what making it took, and whether the gate let it pass."""

    day: str
    mode: str
    folder: str
    seconds: float
    cpu_seconds: float
    passed: bool


class Workspace:
    """A copy of the sources in a folder, with a cache of its own: nothing is taken from earlier runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lay_out(folder, None, folder / ".dvc" / "cache")
        if (ROOT / "data" / "raw").is_dir():
            shutil.copytree(ROOT / "data" / "raw", folder / "data" / "raw")

    def train(self, day: date, mode: str, *options: str, **variables: str) -> Trained:
        """Train for ``day``: on all before it, with the day itself as test data."""
        params = yaml.safe_load((self.folder / "params.yaml").read_text())
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
        kept = self.folder.parent / "releases" / f"{mode}-{day}"
        shutil.copytree(made, kept)
        return Trained(str(day), mode, str(kept), seconds, used.ru_utime + used.ru_stime, code == 0)


def environment() -> dict[str, str]:
    """One thread a process, and this environment's programs first."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def in_full(into: Path, days: list[date], jobs: int) -> list[Trained]:
    """Full training for each of ``days``, ``jobs`` of them at a time."""
    free: Queue[Workspace] = Queue()
    for number in range(jobs):
        free.put(Workspace(into / f"full-{number}"))

    def train(day: date) -> Trained:
        workspace = free.get()
        try:
            return workspace.train(day, "full", "--no-gate")
        finally:
            free.put(workspace)

    with ThreadPoolExecutor(jobs) as pool:
        return list(tqdm(pool.map(train, days), total=len(days), desc="full"))


def partially(into: Path, days: list[date], start: Trained) -> list[Trained]:
    """Partial training, day after day, from the release ``start`` on."""
    server = S3(into / "s3")
    server.start()
    try:
        told = server.credentials()
        publish = [str(BIN / "recsys"), "release", "publish", start.folder, "--no-gate", "--remote", REMOTE]
        subprocess.run(publish, env=environment() | told, stdout=subprocess.DEVNULL, check=True)
        workspace = Workspace(into / "partial")
        return [
            workspace.train(day, "partial", "--remote", REMOTE, **told) for day in tqdm(days, desc="partial")
        ]
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=date.fromisoformat, default=date(2000, 8, 14), metavar="YYYY-MM-DD")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT / ".week", help="emptied first")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "benchmarks")
    arguments = parser.parse_args()
    into, out = arguments.into.resolve(), arguments.out.resolve()
    os.chdir(ROOT)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    days = [arguments.first + timedelta(days=number) for number in range(-1, arguments.days)]
    full = in_full(into, days, arguments.jobs)
    partial = partially(into, days[1:], full[0])
    write_json(into / "trained.json", [asdict(each) for each in (*full, *partial)])
    papermill.execute_notebook(
        str(Path(__file__).with_name("week.ipynb")),
        str(into / "week.ipynb"),
        {"trained": str(into / "trained.json"), "raw": str(ROOT / "data" / "raw"), "out": str(out)},
        kernel_name="python3",
    )


if __name__ == "__main__":
    main()
