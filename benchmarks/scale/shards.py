"""Training from Parquet shards beside training from memory: `python benchmarks/scale/shards.py`.

Two towers learn from made-up news of several sizes, whatever was shown counting as met: all in memory, from
shards of a million events while all is in memory, too, as in the pipeline, and from shards alone, each in a
process of its own. How much memory does it hold at most while it learns, how long does that take, and how
much of what its users are shown besides is among the first 100? Then two towers and the sequence model learn
from the past of MovieLens-1M's fold `valid`, from memory and from shards, with some seeds. The first needs
nothing, this what `dvc repro` left. Linux only, whose kernel tells the peak. Writes
reports/benchmarks/shards.json and its figure; sizes that were measured before stay.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import yaml
from run import PER_ITEM, PER_USER, environment

from recsys.artifacts import read_json, write_json
from recsys.data.dataset import Dataset
from recsys.data.shards import Shards, Train, sharded
from recsys.evaluate import Judge
from recsys.features.attributes import Attributes
from recsys.metrics import hits_of, recall_at_k
from recsys.parameters import overridden
from recsys.plots import save
from recsys.plots.style import Picture, panels, styled
from recsys.recall.sequence import SequenceRecall
from recsys.recall.two_tower import TwoTowerRecall
from recsys.synthetic.world import Shown, World
from recsys.types import Histories, Interactions, Requests

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "benchmarks" / "shards.json"
MEMORY, BOTH, SHARDS = SOURCES = ("memory", "memory and shards", "shards")
PER_SHARD = 1_000_000
"""Events."""
ASKED, LATER = 20_000, 1
"""Events that are asked for, and the seed they are made with: none of them is learned from."""
K = 100
TOWERS: dict[str, Any] = {
    "embedding_dim": 16,
    "history_length": 20,
    "hidden": (32,),
    "batch_size": 512,
    "uniform_negatives": 128,
    "ann": "ivf",
    "epochs": 1,
    "seed": 1,
}
"""Small ones, for the sake of time: what grows with the events is not the network."""
NO_PARAMETERS = ("item2vec", "popular_days", "at", "shards")
"""Of the section of the towers: what is not said to `TwoTowerRecall`."""


def shown_as_met(world: World, parts: Iterator[Shown]) -> Iterator[Interactions]:
    """Whatever was shown."""
    for shown in parts:
        yield Interactions(
            user_idx=shown.users.astype(np.int32),
            item_idx=shown.items.astype(np.int32),
            timestamp=shown.timestamps,
            value=np.ones(len(shown), dtype=np.float32),
            labels={},
            n_users=len(world.activity),
            n_items=len(world.topics),
        )


def joined(parts: Iterator[Interactions], events: int) -> Interactions:
    """All ``parts`` in the order of time, each copied into its place as it comes."""
    whole: dict[str, np.ndarray] = {}
    start = 0
    for part in parts:
        for name in ("user_idx", "item_idx", "timestamp", "value"):
            told = getattr(part, name)
            whole.setdefault(name, np.empty(events, told.dtype))[start : start + len(part)] = told
        start += len(part)
        sizes = {"n_users": part.n_users, "n_items": part.n_items}
    order = np.argsort(whole["timestamp"], kind="stable")
    return Interactions(**{name: told[order] for name, told in whole.items()}, labels={}, **sizes)


def histories(train: Train, users: np.ndarray) -> Histories:
    """What ``users`` have done, of shards one after the other."""
    if isinstance(train, Interactions):
        return train.histories(users)
    own = [each[np.isin(each.user_idx, users)] for each in map(train.read, range(len(train.rows)))]
    return joined(iter(own), sum(map(len, own))).histories(users)


def one(source: str, events: int) -> dict[str, float]:
    """Train on so many events from ``source``, in this process."""
    world = World.of(events // PER_USER, events // PER_ITEM)
    parts, channel = shown_as_met(world, world.events(events)), TwoTowerRecall(**TOWERS)
    n, scratch = -(-events // PER_SHARD), ROOT / ".scale"
    scratch.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder:
        past = None if source == SHARDS else joined(parts, events)
        train = past or Shards.write(parts, Path(folder) / "train", n)
        with sharded(past, n) if past and source == BOTH else nullcontext(train) as learned:
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            began = time.perf_counter()
            channel.fit(learned)
            took = {"seconds": time.perf_counter() - began, "peak_bytes": highest()}
        return {**took, "recall": found(channel, world, train)}


def highest() -> int:
    """Bytes that this process has had at most since its peak began anew."""
    told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(told["VmHWM"].split()[0]) * 1024


def found(channel: TwoTowerRecall, world: World, train: Train) -> float:
    """recall_at_100 of what else was shown to those who have a history; what is in it does not count."""
    (later,) = shown_as_met(world, world.events(ASKED, seed=LATER))
    users = np.unique(later.user_idx)
    users = users[train.user_counts[users] > 0].astype(np.int64)
    requests = Requests(users, np.full(len(users), train.newest + 1), histories(train, users))
    rows, at = requests.history.flat()
    met = users[rows] * later.n_items + requests.history.items[at]
    relevant = np.setdiff1d(later.pairs[np.isin(later.user_idx, users)], met)
    n_relevant = np.bincount(relevant // later.n_items, minlength=later.n_users)[users]
    hits = hits_of(channel.recall(requests, K).items, users, relevant, later.n_items)
    return float(np.nanmean(recall_at_k(hits, n_relevant, K)))


def grown(sizes: list[int]) -> Iterator[dict[str, Any]]:
    """A row a size and source: each in a process of its own."""
    for events in sizes:
        for source in SOURCES:
            command = [sys.executable, __file__, "--one", source, "--events", str(events)]
            ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
            if ended.returncode:
                raise SystemExit(f"{source}, {events:,} events: {ended.stderr[-3000:]}")
            told = json.loads(ended.stdout.splitlines()[-1])
            row = {"events": events, "source": source, **told}
            print(row, flush=True)
            yield row


def learned(split: str, shards: int, seeds: int) -> Iterator[dict[str, Any]]:
    """A row for each model, source, seed and metric, on MovieLens-1M."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    dataset = Dataset.load(ROOT / "artifacts" / "data")
    judge = Judge.of(dataset, split, "valid").sample(2000, params["seed"])
    requests, attributes = judge.fold.requests(judge.rows), Attributes.of(dataset)
    stages = {
        name: overridden(params[name], params[name].get("at", {}).get(split, {}))
        for name in ("two_tower", "sequence")
    }
    towers = {name: each for name, each in stages["two_tower"].items() if name not in NO_PARAMETERS}
    makes = {
        "two_tower": lambda seed: TwoTowerRecall(**towers, attributes=attributes, seed=seed),
        "sequence": lambda seed: SequenceRecall(**stages["sequence"]["sequence"], seed=seed),
    }
    for model, made in makes.items():
        for seed in range(1, seeds + 1):
            for source, n in ((MEMORY, 0), (SHARDS, shards)):
                with sharded(judge.fold.past, n) as train:
                    lists = made(seed).fit(train).recall(requests, K).items
                summary = judge.summary({"it": lists}, seed=0).query("slice == 'all'").set_index("metric")
                for metric in ("recall_at_100", "ndcg_at_10"):
                    row = {"model": model, "source": source, "seed": seed, "metric": metric}
                    row["value"] = float(summary.loc[metric, "value"])
                    print(row, flush=True)
                    yield row


@styled
def growth(rows: pd.DataFrame) -> Picture:
    """Memory and seconds of training over events, by source."""
    figure, (memory, seconds) = panels("What does training from shards take?", 2, width=9, height=4)
    for source, own in rows.sort_values("events").groupby("source", sort=False):
        memory.plot(own["events"] / 1e6, own["peak_bytes"] / 1e9, marker="o", label=source)
        seconds.plot(own["events"] / 1e6, own["seconds"], marker="o")
    for axis, name in ((memory, "GB at most"), (seconds, "seconds")):
        axis.set(xlabel="million events", ylabel=name, ylim=(0, None))
    memory.legend(title="learning from")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events", type=float, nargs="*", default=[1e6, 2e6, 4e6, 8e6], help="(1e6 2e6 4e6 8e6)"
    )
    parser.add_argument("--split", default="leave_last_out", help="of MovieLens-1M (default: %(default)s)")
    parser.add_argument("--shards", type=int, default=8, help="of MovieLens-1M's past (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="0: nothing of MovieLens-1M (default: 3)")
    parser.add_argument("--one", choices=SOURCES, help="in this process, without a report")
    asked = parser.parse_args()
    sizes = [int(events) for events in asked.events]
    if asked.one:
        print(json.dumps(one(asked.one, sizes[0])))
        return
    told = read_json(REPORT) if REPORT.exists() else {"grown": [], "learned": {}}
    for row in grown(sizes):
        others = [each for each in told["grown"] if any(each[k] != row[k] for k in ("events", "source"))]
        told["grown"] = [*others, row]
        write_json(REPORT, told)
    if asked.seeds:
        runs = list(learned(asked.split, asked.shards, asked.seeds))
        told["learned"] = {"split": asked.split, "shards": asked.shards, "runs": runs}
        write_json(REPORT, told)
    save(growth(pd.DataFrame(told["grown"])), REPORT.with_suffix(".png"))


if __name__ == "__main__":
    main()
