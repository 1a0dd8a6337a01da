"""Models that one process trains, and that two share: `python benchmarks/processes/run.py`.

Two towers, the sequence model and the ranker learn with the parameters of params.yaml, some seeds, by one
process and by two, and are asked on the fold `valid`. Then the towers are trained by two of which one is
killed (SIGKILL) in the middle: the curve and every number they have learned must be those of an
undisturbed training. Needs what `dvc repro` left. Writes reports/benchmarks/processes.json and its figure;
exit code 1 where the killed training ended otherwise.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks" / "ranking")]

from exam import Exam  # noqa: E402

from recsys import plots  # noqa: E402
from recsys.artifacts import write_json  # noqa: E402
from recsys.data.dataset import Dataset  # noqa: E402
from recsys.evaluate import Judge  # noqa: E402
from recsys.features.attributes import Attributes  # noqa: E402
from recsys.parameters import overridden  # noqa: E402
from recsys.rank.quality import by_task  # noqa: E402
from recsys.rank.ranker import Ranker  # noqa: E402
from recsys.recall.sequence import SequenceRecall  # noqa: E402
from recsys.recall.two_tower import TwoTowerRecall  # noqa: E402
from recsys.train import checkpoints  # noqa: E402

REPORT = Path("reports/benchmarks/processes.json")
PROCESSES = (1, 2)
TITLE = "Is a model that processes share another one?"
METRICS = ("recall_at_100", "ndcg_at_10")
NO_PARAMETERS = ("item2vec", "popular_days", "at", "shards", "threads", "processes")
"""Of the section of the towers: what is not said to `TwoTowerRecall`, or here."""


class Bench:
    """The parts of a pipeline that has run, for one split."""

    def __init__(self, split: str, users: int, requests: int) -> None:
        self.params, self.split = yaml.safe_load(Path("params.yaml").read_text()), split
        self.dataset, self.requests = Dataset.load(Path("artifacts/data")), requests
        self.attributes = Attributes.of(self.dataset)
        self.judge = Judge.of(self.dataset, split, "valid").sample(users, self.params["seed"])
        self.exam = Exam.of(self.dataset, split, self.of_stage("mmoe"))

    def of_stage(self, stage: str) -> dict[str, Any]:
        section = self.params[stage]
        return overridden(section, section.get("at", {}).get(self.split, {}))

    def towers(self, seed: int, processes: int) -> TwoTowerRecall:
        told = {name: each for name, each in self.of_stage("two_tower").items() if name not in NO_PARAMETERS}
        channel = TwoTowerRecall(**told, attributes=self.attributes, seed=seed, processes=processes)
        return channel.fit(self.judge.fold.past)

    def trained_towers(self, seed: int, processes: int) -> dict[str, float]:
        return self._asked(self.towers(seed, processes))

    def trained_sequence(self, seed: int, processes: int) -> dict[str, float]:
        channel = SequenceRecall(**self.of_stage("sequence")["sequence"], seed=seed, processes=processes)
        return self._asked(channel.fit(self.judge.fold.past))

    def trained_ranker(self, seed: int, processes: int) -> dict[str, float]:
        told, tasks = self.of_stage("mmoe")["ranker"], tuple(self.dataset.spec.tasks)
        ranker = Ranker(**{**told, "formula": {}, "tasks": tasks}, seed=seed, processes=processes)
        ranker.fit([self.exam.drawn("late", self.requests, seed)], self.attributes)
        valid = self.exam.examples["valid"]
        rows = by_task(ranker.score_examples(valid), valid).set_index("task")
        return {f"{task}: gauc": float(rows.loc[task, "gauc"]) for task in tasks}

    def _asked(self, channel: Any) -> dict[str, float]:
        lists = channel.recall(self.judge.fold.requests(self.judge.rows), 100).items
        summary = self.judge.summary({"it": lists}, seed=0).query("slice == 'all'").set_index("metric")
        return {metric: float(summary.loc[metric, "value"]) for metric in METRICS}


MODELS: Mapping[str, Callable[[Bench, int, int], dict[str, float]]] = {
    "two_tower": Bench.trained_towers,
    "sequence": Bench.trained_sequence,
    "ranker": Bench.trained_ranker,
}


def measured(bench: Bench, models: Sequence[str], seeds: int) -> Iterator[dict[str, Any]]:
    """A row for each model, number of processes, seed and metric."""
    for model in models:
        for seed in range(1, seeds + 1):
            for processes in PROCESSES:
                began = time.perf_counter()
                found = MODELS[model](bench, seed, processes)
                seconds = time.perf_counter() - began
                print(f"{model}, seed {seed}, processes {processes}: {seconds:.0f} s {found}", flush=True)
                for metric, value in found.items():
                    told = {"model": model, "seed": seed, "processes": processes, "metric": metric}
                    yield {**told, "value": value, "seconds": seconds}


def killed(bench: Bench) -> dict[str, Any]:
    """Train towers twice, and kill a process of the second training once it has a checkpoint."""
    usual, checkpoints.EVERY = checkpoints.EVERY, 2.0
    whole = bench.towers(1, 2)
    dead: list[int] = []
    victim = threading.Thread(target=lambda: dead.append(kill_one()))
    victim.start()
    resumed = bench.towers(1, 2)
    victim.join()
    checkpoints.EVERY = usual
    return {
        "killed": len(dead),
        "curve": [row["loss"] for row in whole.log_],
        "same_curve": whole.log_ == resumed.log_,
        "same_numbers": all(
            np.array_equal(whole.weights_[name], resumed.weights_[name]) for name in whole.weights_
        ),
    }


def kill_one(after: float = 10.0) -> int:
    """SIGKILL the last of this process's forks, ``after`` so many seconds of training; its id."""
    own = psutil.Process()
    while not (forks := [each for each in own.children() if each.cmdline() == own.cmdline()]):
        time.sleep(0.1)
    time.sleep(after)
    print(f"killed: {forks[-1].pid} of {[each.pid for each in forks]}", flush=True)
    os.kill(forks[-1].pid, signal.SIGKILL)
    return forks[-1].pid


def named(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def main() -> int:
    """Measure, write the report and its figure; 1 where a killed training ended otherwise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", default="leave_last_out")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS], help="(all)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--users", type=int, default=2000, help="who are asked (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=2000, help="to rank from (default: %(default)s)")
    asked = parser.parse_args()
    bench = Bench(asked.split, asked.users, asked.requests)
    disturbed = killed(bench)
    runs = pd.DataFrame(measured(bench, asked.models, asked.seeds))
    report = {"split": asked.split, "killed": disturbed, "runs": runs.to_dict("records")}
    write_json(REPORT, report)
    print(runs.groupby(["model", "metric", "processes"])[["value", "seconds"]].agg(["mean", "std"]).round(4))
    first = runs[runs["metric"] == runs.groupby("model")["metric"].transform("first")]
    rows = {"task": first["model"] + ", " + first["metric"], "model": first["processes"].map(named)}
    plots.save(plots.dots_by_seed(first.assign(**rows), "value", TITLE), REPORT.with_suffix(".png"))
    return 0 if disturbed["killed"] and disturbed["same_curve"] and disturbed["same_numbers"] else 1


if __name__ == "__main__":
    sys.exit(main())
