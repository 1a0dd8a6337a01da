"""What should a ranker learn to put last? `python benchmarks/ranking/negatives.py [--preset PRESET]`.

All that recall finds and nobody took, or only what was shown of it? Both learn from a preset's data, with
several seeds, and put the candidates of *test* in order. Who is right is told by what was taken, as always;
by the order of what was shown; and of the made-up news by the world itself: how likely the first ten are to
be clicked, if all of them are looked at. Needs what `recsys train --mode full --preset PRESET` leaves in
.PRESET/ (docs/news.md, docs/complete-journey.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import yaml
from exam import FOLDS, Exam
from tqdm import tqdm

from recsys import metrics
from recsys.artifacts import write_json
from recsys.columns import ITEM_ID, USER_ID
from recsys.data.dataset import Dataset
from recsys.evaluate import means
from recsys.features.attributes import Attributes
from recsys.parameters import overridden
from recsys.rank.inputs import Examples, Negatives
from recsys.rank.ranker import Ranker
from recsys.synthetic import World
from recsys.types import PAD

NEWS, SPLIT, K = "news", "global_time", 10
REPORTS = Path("reports/benchmarks")
SHOWN, TRUE = "shown: GAUC", "looked at: share clicked of ten"
"""How an order is judged."""


@dataclass(frozen=True)
class Truth:
    """Who would click what that is looked at: ``liking`` (n_users, n_items)."""

    liking: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> Truth:
        """The world of `recsys data example`, with its defaults; ids are its numbers behind a letter."""
        world = World.of(1000, 400)
        users, items = (
            ids.str[1:].astype(int).to_numpy() for ids in (dataset.users[USER_ID], dataset.items[ITEM_ID])
        )
        pairs = np.repeat(users, len(items)), np.tile(items, len(users))
        return cls(world.liking(*pairs).reshape(len(users), len(items)))

    def of_lists(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Of each of ``items`` (n, k), -inf where it is PAD."""
        return np.where(items == PAD, -np.inf, self.liking[users[:, None], items])


def judged(order: np.ndarray, exam: Exam, truth: Truth | None) -> dict[str, np.ndarray]:
    """By request, (n,): ``order`` (n, k) are places of the candidates of *test*, best first."""
    test, judge = exam.examples["test"], exam.judges["test"]
    lists = np.take_along_axis(test.merged.items, order, axis=1)
    places, (task, labels) = np.argsort(order, axis=1), next(iter(test.labels.items()))
    aucs = [
        metrics.auc(-place[counted], label[counted] > 0)
        for place, label, counted in zip(places, labels, test.counted, strict=True)
    ]
    told = {f"{task}: ndcg_at_10": judge.per_user(lists)["ndcg_at_10"], SHOWN: np.array(aucs)}
    if truth is not None:
        told[TRUE] = truth.of_lists(test.requests.users, lists[:, :K]).mean(axis=1)
    return told


def learned(
    negatives: str, dataset: Dataset, params: Mapping[str, Any], root: Path, seeds: int
) -> list[np.ndarray]:
    """Orders of the candidates of *test*, one a seed."""
    exam = Exam.of(dataset, SPLIT, params | {"negatives": negatives}, root)
    folds, orders = [exam.examples[fold] for fold in FOLDS[:2]], []
    for seed in tqdm(range(1, seeds + 1), desc=negatives):
        ranker = Ranker(tasks=tuple(dataset.spec.tasks), **params["ranker"], seed=seed)
        orders.append(ranker.fit(folds, Attributes.of(dataset)).score_examples(exam.examples["test"]).order)
    return orders


def main() -> None:
    """Learn, judge, and write a report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default=NEWS, help="there is a params.PRESET.yaml of it (default: news)")
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    root = Path(f".{asked.preset}")
    section = yaml.safe_load((root / "params.yaml").read_text())["mmoe"]
    params = overridden(section, section.pop("at", {}).get(SPLIT, {})) | {"negatives": "impressions"}
    dataset = Dataset.load(root / "artifacts" / "data")
    exam = Exam.of(dataset, SPLIT, params, root)
    test = exam.examples["test"]
    orders = {"as merged": [np.tile(np.arange(test.merged.items.shape[1]), (len(test.requests), 1))]}
    orders |= {name: learned(name, dataset, params, root, asked.seeds) for name in get_args(Negatives)}
    truth = Truth.of(dataset) if asked.preset == NEWS else None
    if truth is not None:
        liking = truth.of_lists(test.requests.users, test.merged.items)
        orders["the truth"] = [np.argsort(-liking, axis=1, kind="stable")]
    told = {}
    for name, each in orders.items():
        table = pd.concat([pd.DataFrame(judged(order, exam, truth)) for order in each])
        mean = table.groupby(level=0).mean()
        rows = means([mean[metric].to_numpy() for metric in mean], seed=1)
        told[name] = dict(zip(mean, rows[["value", "low", "high"]].to_numpy().tolist(), strict=True))
        print(name, told[name], flush=True)
    report = {"requests": len(test.requests), "seeds": asked.seeds, "orders": told, **counts(test)}
    write_json(REPORTS / f"negatives_{asked.preset}.json", report)


def counts(test: Examples) -> dict[str, int]:
    """How many candidates there are, were shown or taken, and were taken."""
    label = next(iter(test.labels.values()))
    return {
        "candidates": int(test.inside.sum()),
        "counted": int(test.counted.sum()),
        "taken": int((label > 0).sum()),
    }


if __name__ == "__main__":
    main()
