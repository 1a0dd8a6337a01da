"""How time and memory of each stage grow with the data: `python benchmarks/scale/run.py --events 1e6 5e6`.

Made-up news of so many events (`recsys data example`), with a twentieth as many people and a hundredth as
many articles; whatever was shown counts as met, so that all of them are learned from. The pipeline runs stage
by stage on one core in folders of its own, with the parameters of params.yaml but for those in `CHANGED`.
Writes reports/benchmarks/scale.json (seconds and peak memory of each stage's processes by events) and its
figure; what was measured of another number of events stays, and with ``--resume`` what was of this one. With
``--items`` there are so many articles, however many events, which is measured too but is no point of the
figure; serving.py asks the release.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "notebooks")]

from preset import lay_out  # noqa: E402

from recsys.artifacts import read_json, write_json  # noqa: E402
from recsys.data.spec import FILE_NAME, DatasetSpec  # noqa: E402
from recsys.drafting import preset  # noqa: E402
from recsys.parameters import overridden  # noqa: E402
from recsys.plots import save  # noqa: E402
from recsys.plots.style import GREY, Picture, panels, styled  # noqa: E402

REPORT = ROOT / "reports" / "benchmarks" / "scale.json"
PER_USER, PER_ITEM = 20, 100
"""Events."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
"""All of it takes one core: libraries' threads would wait for each other."""
WHAT = ("events", "items", "stage")
EVERY = 1.0
"""Seconds between two looks at memory, each of which takes the longer the more there is."""
CHANGED: dict[str, Any] = {
    "data": {"splits": {"global_time": {"users": 5000}, "leave_last_out": None}},
    "two_tower": {"ann": "ivf"},
    "mf": {"ann": "ivf"},
    "clustering": {"n_clusters": 1024},
    "evaluation": {"listed_users": 20_000},
}
"""Parameters that are not those of params.yaml: one split, of which so many users are asked; what is near is
found by an index; lists are made for some."""


def made(folder: Path, events: int, items: int) -> Path:
    """A data set of so many events and articles, in a folder of its own."""
    data = folder / "news"
    if not data.exists():
        size = ["--users", events // PER_USER, "--articles", items, "--shown", events]
        run(["recsys", "data", "example", str(data), *map(str, size), "--parquet"], folder)
        run(["recsys", "data", "init", str(data)], folder)
        spec = yaml.safe_load((data / FILE_NAME).read_text())
        spec["interactions"]["positive"] = "all"
        (data / FILE_NAME).write_text(yaml.safe_dump(spec, sort_keys=False))
    return data


def laid_out(folder: Path, data: Path) -> Path:
    """The sources, with the parameters that `recsys data init` drafted and those in `CHANGED`."""
    pipeline = folder / "pipeline"
    os.chdir(ROOT)
    lay_out(pipeline, None, pipeline / ".dvc" / "cache")
    params = yaml.safe_load((pipeline / "params.yaml").read_text())
    drafted = yaml.safe_load(preset(data, DatasetSpec.read(data / FILE_NAME)))
    params = overridden(overridden(params, drafted), CHANGED)
    params["data"]["dataset"] = str(data)
    (pipeline / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    shutil.rmtree(pipeline / "artifacts", ignore_errors=True)
    (pipeline / "dvc.lock").unlink(missing_ok=True)
    return pipeline


def stages(pipeline: Path) -> Sequence[str]:
    """Names of all, in the order of dvc.yaml, in which they need each other."""
    listing = ["dvc", "stage", "list", "--name-only"]
    return subprocess.check_output(listing, cwd=pipeline, env=environment(), text=True).split()


def measured(pipeline: Path, events: int, items: int, done: Collection[str]) -> Iterator[dict[str, Any]]:
    """A row a stage, but for those that are ``done``."""
    for stage in stages(pipeline):
        if stage in done:
            continue
        began = time.perf_counter()
        with peak() as memory:
            run(["dvc", "repro", "--force", "--single-item", stage], pipeline)
        seconds = time.perf_counter() - began
        print(f"{events:,} events, {stage}: {seconds:.0f} s, {memory['bytes'] / 1e9:.2f} GB", flush=True)
        told = {"seconds": seconds, "peak_bytes": memory["bytes"]}
        yield {"events": events, "items": items, "stage": stage, **told}


@contextmanager
def peak() -> Iterator[dict[str, float]]:
    """The most memory (proportional set size) that all processes begun meanwhile have at once."""
    most, over = {"bytes": 0.0}, threading.Event()

    def look() -> None:
        while not over.wait(EVERY):
            most["bytes"] = max(most["bytes"], sum(map(held, psutil.Process().children(recursive=True))))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield most
    finally:
        over.set()
        looking.join()


def held(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss)
    except psutil.Error:
        return 0.0


def run(command: Sequence[str], folder: Path) -> None:
    """In ``folder``; what it says is shown where it fails."""
    ended = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: {(ended.stdout + ended.stderr)[-3000:]}")


def environment() -> dict[str, str]:
    here = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": here, "PYTHONPATH": str(ROOT / "src")} | ONE_THREAD


@styled
def growth(rows: pd.DataFrame) -> Picture:
    """Seconds and gigabytes of each stage over events, both axes by factors."""
    figure, (seconds, memory) = panels("What grows how, as events do?", 2, width=11, height=4.8)
    for stage, own in rows.groupby("stage", sort=False):
        own = own.sort_values("events")
        seconds.plot(own["events"], own["seconds"], marker="o", label=stage.split("@")[0])
        memory.plot(own["events"], own["peak_bytes"] / 1e9, marker="o")
    events = np.array(sorted(rows["events"].unique()))
    seconds.plot(events, events * np.log(events) / 1e6, color=GREY, linestyle=":", label="n log n")
    for axis, name in ((seconds, "seconds"), (memory, "GB at most")):
        axis.set(xscale="log", yscale="log", xlabel="million events", ylabel=name)
        axis.set_xticks(events, [f"{n / 1e6:g}" for n in events])
        axis.minorticks_off()
    memory.set_yticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"])
    handles, names = seconds.get_legend_handles_labels()
    memory.legend(handles, names, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def exponents(rows: pd.DataFrame) -> dict[str, float]:
    """By stage: with which power of events its seconds grow, from the smallest run to the largest."""
    told = {}
    for stage, own in rows.sort_values("events").groupby("stage", sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        if last["events"] > first["events"]:
            told[stage] = float(
                np.log(last["seconds"] / first["seconds"]) / np.log(last["events"] / first["events"])
            )
    return told


def report(row: dict[str, Any]) -> None:
    """Put ``row`` among what has been measured so far, in place of its like, and draw it all."""
    rows = [each for each in reported() if not all(each[name] == row[name] for name in WHAT)] + [row]
    table = pd.DataFrame(rows).query(f"items == events // {PER_ITEM}")
    write_json(REPORT, {"stages": rows, "exponents": exponents(table)})
    if len(table):
        save(growth(table), REPORT.with_suffix(".png"))


def reported() -> list[dict[str, Any]]:
    """Read anew each time, for runs of other sizes may go on beside this one, on a core of their own."""
    return read_json(REPORT)["stages"] if REPORT.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=float, nargs="+", default=[1e6, 5e6, 20e6], help="(1e6 5e6 20e6)")
    parser.add_argument("--items", type=float, help=f"(one for {PER_ITEM} events)")
    parser.add_argument("--into", type=Path, default=ROOT / ".scale", help="a folder for all of it")
    parser.add_argument("--resume", action="store_true", help="stages in the report stay as they are")
    asked = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for events in map(int, asked.events):
        items = int(asked.items or events // PER_ITEM)
        folder = asked.into.resolve() / f"{events}-{items}"
        folder.mkdir(parents=True, exist_ok=True)
        of_this = {row["stage"] for row in reported() if (row["events"], row["items"]) == (events, items)}
        done = of_this if asked.resume else set()
        if done and not (folder / "pipeline").is_dir():
            raise SystemExit(f"{folder / 'pipeline'}: is gone, there is nothing to go on from")
        pipeline = folder / "pipeline" if done else laid_out(folder, made(folder, events, items))
        for row in measured(pipeline, events, items, done):
            report(row)


if __name__ == "__main__":
    main()
