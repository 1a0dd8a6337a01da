"""What a ranker should learn to put last, where the truth is known: `python benchmarks/ranking/negatives.py`.

All that recall finds and nobody clicked, or only what was shown of it? Both learn from the made-up news, with
several seeds, and put the candidates of *test* in order. Who is right is told by what was clicked, as always;
by the order of what was shown; and by the world itself: how likely the first ten are to be clicked, if all of
them are looked at. Needs what `recsys train --mode full --preset news` leaves in .news/ (docs/news.md).
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
from recsys.rank.inputs import Negatives
from recsys.rank.ranker import Ranker
from recsys.synthetic import World
from recsys.types import PAD

ROOT, SPLIT, K = Path(".news"), "global_time", 10
REPORT = Path("reports/benchmarks/negatives.json")
CLICKED, SHOWN, TRUE = "clicked: ndcg_at_10", "shown: GAUC", "looked at: share clicked of ten"
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


def judged(order: np.ndarray, exam: Exam, truth: Truth) -> dict[str, np.ndarray]:
    """By request, (n,): ``order`` (n, k) are places of the candidates of *test*, best first."""
    test, judge = exam.examples["test"], exam.judges["test"]
    lists = np.take_along_axis(test.merged.items, order, axis=1)
    places = np.argsort(order, axis=1)
    aucs = [
        metrics.auc(-place[counted], label[counted] > 0)
        for place, label, counted in zip(places, next(iter(test.labels.values())), test.counted, strict=True)
    ]
    return {
        CLICKED: judge.per_user(lists)["ndcg_at_10"],
        SHOWN: np.array(aucs),
        TRUE: truth.of_lists(test.requests.users, lists[:, :K]).mean(axis=1),
    }


def learned(negatives: str, dataset: Dataset, params: Mapping[str, Any], seeds: int) -> list[np.ndarray]:
    """Orders of the candidates of *test*, one a seed."""
    exam = Exam.of(dataset, SPLIT, params | {"negatives": negatives}, ROOT)
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
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    section = yaml.safe_load((ROOT / "params.yaml").read_text())["mmoe"]
    params = overridden(section, section.pop("at", {}).get(SPLIT, {})) | {"negatives": "impressions"}
    dataset = Dataset.load(ROOT / "artifacts" / "data")
    exam, truth = Exam.of(dataset, SPLIT, params, ROOT), Truth.of(dataset)
    items = exam.examples["test"].merged.items
    liking = truth.of_lists(exam.examples["test"].requests.users, items)
    orders = {"as merged": [np.tile(np.arange(items.shape[1]), (len(items), 1))]}
    orders |= {name: learned(name, dataset, params, seeds) for name in get_args(Negatives)}
    orders["the truth"] = [np.argsort(-liking, axis=1, kind="stable")]
    told = {}
    for name, each in orders.items():
        table = pd.concat([pd.DataFrame(judged(order, exam, truth)) for order in each])
        mean = table.groupby(level=0).mean()
        rows = means([mean[metric].to_numpy() for metric in mean], seed=1)
        told[name] = dict(zip(mean, rows[["value", "low", "high"]].to_numpy().tolist(), strict=True))
        print(name, told[name], flush=True)
    write_json(REPORT, {"requests": len(items), "seeds": seeds, "orders": told})


if __name__ == "__main__":
    main()
