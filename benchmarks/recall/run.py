"""Our channels against implicit's, tuned alike, on MovieLens-1M: `python benchmarks/recall/run.py`.

Split leave_last_out, full catalogue, seen items excluded, all users. implicit's parameters are chosen by
recall_at_100 on the valid fold from the grids below; ours are those of params.yaml, which were chosen on it
too. Both are then fitted on the test fold's past and measured once. Differences are paired, with 95 %
intervals by bootstrap over users.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from recsys.artifacts import write_json
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.data.split import Fold
from recsys.evaluate import Judge
from recsys.features.attributes import Attributes
from recsys.parameters import overridden
from recsys.recall import channel
from recsys.recall.mf import MfRecall
from recsys.recall.two_tower import TwoTowerRecall

SPLIT, METRIC, K = "leave_last_out", "recall_at_100", 100
REPORT = Path("reports/benchmarks/recall.json")
COSINE = {"K": [5, 10, 20, 50, 100, 200]}
ALS = {"factors": [64, 128], "regularization": [0.01, 1.0, 10.0], "alpha": [1.0, 5.0]}


def grid(choices: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of ``choices``."""
    for values in itertools.product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def only(channel: type[Any], section: Mapping[str, Any]) -> dict[str, Any]:
    """What of a section of params.yaml is the channel's own."""
    names = {field.name for field in fields(channel)}
    return {name: value for name, value in section.items() if name in names}


def implicit_lists(make: Any, fold: Fold, users: np.ndarray) -> np.ndarray:
    """First K items of a fitted implicit model for ``users``, what they have seen left out."""
    matrix = fold.past.matrix()
    with threadpool_limits(1, "blas"):
        model = make()
        model.fit(matrix, show_progress=False)
        items, _ = model.recommend(users, matrix[users], N=K, filter_already_liked_items=True)
    return np.asarray(items, dtype=np.int64)


def tuned(kind: str, dataset: Dataset, seed: int) -> tuple[dict[str, Any], Any]:
    """The grid's best parameters of an implicit model on valid, and its maker."""
    choices, model, fixed = {
        "cosine": (COSINE, CosineRecommender, {}),
        "als": (ALS, AlternatingLeastSquares, {"iterations": 15, "random_state": seed}),
    }[kind]
    judge = Judge.of(dataset, SPLIT, "valid")
    scores = {}
    for chosen in tqdm(list(grid(choices)), desc=f"implicit {kind}"):
        lists = implicit_lists(lambda chosen=chosen: model(**chosen, **fixed), judge.fold, judge.users)
        scores[tuple(chosen.items())] = float(np.nanmean(judge.per_user(lists)[METRIC]))
    best = dict(max(scores, key=lambda each: scores[each]))
    return best, lambda: model(**best, **fixed)


def main() -> None:
    """Tune, measure, write reports/benchmarks/recall.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.parse_args()
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["cf"] = overridden(params["cf"], params["cf"]["at"][SPLIT])
    seed = params["seed"]
    dataset = prepare("movielens-1m", Path("data/raw"), seed)
    judge = Judge.of(dataset, SPLIT, "test")
    requests = judge.fold.requests(judge.rows)
    report: dict[str, Any] = {"split": SPLIT, "users": len(judge), "tuned": {}}
    systems = {}
    for kind in ("cosine", "als"):
        report["tuned"][kind], make = tuned(kind, dataset, seed)
        systems[f"implicit {kind}"] = implicit_lists(make, judge.fold, judge.users)
    ours = {
        **{name: channel(name)(**params["cf"][name]) for name in ("popular", "item_cf", "user_cf")},
        "mf": MfRecall(seed=seed, **only(MfRecall, params["mf"])),
        "two_tower": TwoTowerRecall(
            attributes=Attributes.of(dataset), seed=seed, **only(TwoTowerRecall, params["two_tower"])
        ),
    }
    for name, each in tqdm(ours.items(), desc="ours"):
        systems[name] = each.fit(judge.fold.past).recall(requests, K).items
    summary = judge.summary(systems, seed)
    chosen = summary[(summary["slice"] == "all") & (summary["metric"] == METRIC)]
    report[METRIC] = {row.system: [row.value, row.low, row.high] for row in chosen.itertuples()}
    for mine, theirs in (("item_cf", "implicit cosine"), ("two_tower", "implicit als")):
        row = judge.differences(
            {name: systems[name] for name in (mine, theirs)}, theirs, seed, [METRIC]
        ).iloc[0]
        report[f"{mine} minus {theirs}"] = [row["value"], row["low"], row["high"]]
    write_json(REPORT, report)
    print(REPORT.read_text())


if __name__ == "__main__":
    main()
