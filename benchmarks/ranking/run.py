"""Our ranking models, boosted trees and torch-rechub's MMOE, tuned alike: `python benchmarks/ranking/run.py`.

Examples are candidates of the channels in artifacts/, which the pipeline made, encoded alike for all. Each
contender gets so many trials of Optuna (TPE), its defaults first, with tasks weighed alike and not, with
target attention over the history and without. It learns from so many requests of `late`, and what counts is
the mean of AUC and GAUC over the tasks on as many of `valid`; with a second turn it learns from `valid`, too,
and is judged on `late`: where a fold has few requests, what is best on one may be luck. So may one training:
the best few trials are asked with more seeds, and the best mean is taken. Then the contender learns, with
each seed, from as many of `late` and of `valid`, and is measured on all of `test`. What an earlier run with
the same budget, of the same candidates, features and parameters, measured is kept, a report for each split,
and beside it each request's AUC: how far the mixture is ahead of each is told by request, with intervals.
Runs that have nobody in common (`--only`) may share the report at the same time.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import yaml
from contenders import Contender, Ours, Result, Settings, TorchRechub, Trees
from exam import FOLDS, Exam

from recsys import metrics, plots
from recsys.artifacts import fingerprint, read_json, replacing, write_json
from recsys.data.dataset import Dataset
from recsys.evaluate import means
from recsys.features.attributes import Attributes
from recsys.parameters import overridden
from recsys.rank.inputs import Examples
from recsys.rank.quality import by_task
from recsys.rank.ranker import Scores

REPORTS = Path("reports/benchmarks")
SPLITS = ("global_time", "leave_last_out")
ORDERS = ("auc", "gauc")
WIDTHS: Mapping[int, Mapping[str, Mapping[int, tuple[int, ...]]]] = {
    16: {
        "mmoe": {2: (124, 40), 4: (64, 32), 8: (34, 24)},
        "ple": {3: (84, 32), 4: (64, 32), 6: (44, 32)},
        "shared_bottom": {1: (240, 48)},
        "esmm": {1: (124, 40)},
        "single_task": {1: (80, 32)},
    },
    32: {
        "mmoe": {2: (128, 40)},
        "ple": {3: (84, 32), 4: (64, 32), 6: (40, 32)},
        "shared_bottom": {1: (252, 48)},
        "esmm": {1: (128, 40)},
        "single_task": {1: (76, 32)},
    },
}
"""By embedding_dim, model and number of experts: about as many parameters for all (of MovieLens-1M).

The wide embeddings are global_time's, where few requests teach: eight experts learned them by heart.
"""
MIXTURE, OF = "mmoe", " of "
"""Whom the others are held against; what stands between a task and who learned it."""
DRAWS = 3
"""With so many seeds in all the best trials are asked."""
TURNS = (("late", "valid"), ("valid", "late"))
"""What is learned from and judged on, while settings are tried."""
Budget = Mapping[str, int]
"""Trials, finalists, their draws, turns, requests of a fold and seeds on `test`."""


def contenders(dataset: Dataset, params: Mapping[str, Any]) -> list[Contender]:
    """Ours, with the settings of params.yaml to begin with, and who they are compared with."""
    tasks, attributes = tuple(dataset.spec.tasks), Attributes.of(dataset)
    given = {
        name: value
        for name, value in params["ranker"].items()
        if name not in ("formula", "task_weights", "model", "widths")
    }
    shape = {name: given.pop(name) for name in ("embedding_dim", "threads")}
    widths = WIDTHS[shape["embedding_dim"]]
    ours = [
        Ours(name, attributes, tasks, {**shape, "model": name}, given, sizes)
        for name, sizes in widths.items()
    ]
    trees = [
        Trees(f"LightGBM {objective}", objective, attributes, tasks) for objective in ("binary", "lambdarank")
    ]
    return [*ours, *trees, TorchRechub(attributes, tasks, shape["embedding_dim"], widths[MIXTURE])]


def tuned(contender: Contender, exam: Exam, budget: Budget, seed: int) -> Settings:
    """What is best without `test`, of so many trials: the finalists of one seed each are asked with more."""
    starts = contender.starts
    turns = [
        [exam.drawn(fold, budget["requests"], seed) for fold in turn] for turn in TURNS[: budget["turns"]]
    ]

    def value(settings: Settings, number: int) -> float:
        found = [
            by_task(contender.run(settings, [learned], scored, number).scores, scored)[list(ORDERS)]
            for learned, scored in turns
        ]
        return float(np.mean(found))

    def of_trial(trial: optuna.Trial) -> float:
        settings = starts[trial.number] if trial.number < len(starts) else contender.proposed(trial)
        trial.set_user_attr("settings", dict(settings))
        return value(settings, seed)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(of_trial, n_trials=budget["trials"])
    values = {}
    for each in sorted(study.trials, key=lambda trial: -trial.values[0])[: budget["finalists"]]:
        again = [value(each.user_attrs["settings"], seed + draw) for draw in range(1, budget["draws"])]
        values[each.number] = float(np.mean([*each.values, *again]))
    return dict(study.trials[max(values, key=values.__getitem__)].user_attrs["settings"])


def quality(result: Result, exam: Exam) -> dict[str, float]:
    """What a contender made of all of `test`."""
    test = exam.examples["test"]
    lists = np.take_along_axis(test.merged.items, result.scores.order, axis=1)
    ndcg = float(np.nanmean(exam.judges["test"].per_user(lists)["ndcg_at_10"]))
    return {"ndcg_at_10": ndcg, "seconds": result.seconds, "parameters": result.parameters}


def by_request(scores: Scores, examples: Examples) -> dict[str, np.ndarray]:
    """AUC of each request, (n,) by task; NaN where all of it is positive, or nothing."""
    return {
        task: np.array(
            [
                metrics.auc(p[inside], label[inside] > 0)
                for p, label, inside in zip(odds, examples.labels[task], examples.inside, strict=True)
            ]
        )
        for task, odds in scores.probabilities.items()
    }


def measured(
    contender: Contender, settings: Settings, exam: Exam, budget: Budget, seed: int
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """A row for each seed and task; of each request of `test` the seeds' mean AUC, a column a task."""
    learned = [exam.drawn(fold, budget["requests"], seed) for fold in FOLDS[:2]]
    test, rows, aucs = exam.examples["test"], [], []
    for number in range(1, budget["seeds"] + 1):
        result = contender.run(settings, learned, test, number)
        tasks = by_task(result.scores, test)
        if not contender.probable:
            tasks = tasks.drop(columns=["log_loss", "calibration_error"])
        told = {"model": contender.name, "seed": number, **quality(result, exam)}
        rows += [told | row for row in tasks.to_dict("records")]
        aucs.append(by_request(result.scores, test))
    columns = {f"{task}{OF}{contender.name}": [each[task] for each in aucs] for task in aucs[0]}
    return rows, pd.DataFrame({name: np.mean(of_seeds, axis=0) for name, of_seeds in columns.items()})


def ahead(aucs: pd.DataFrame, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    """The mixture's mean AUC over requests less that of each of the others, by name and task."""
    told: dict[str, dict[str, dict[str, float]]] = {}
    for column, auc in aucs.items():
        task, _, name = str(column).partition(OF)
        mixture = aucs.get(f"{task}{OF}{MIXTURE}")
        if name != MIXTURE and mixture is not None:
            (row,) = means([mixture - auc], seed)[["value", "low", "high"]].to_dict("records")
            told.setdefault(name, {})[task] = row
    return told


def summary(runs: pd.DataFrame) -> dict[str, Any]:
    """Mean and standard deviation over the seeds, by model and task."""
    told: dict[str, Any] = {}
    for (model, task), rows in runs.groupby(["model", "task"], sort=False):
        figures = rows.drop(columns=["model", "task", "seed"]).dropna(axis=1)
        told.setdefault(str(model), {})[str(task)] = {
            name: {"mean": float(values.mean()), "std": float(values.std())}
            for name, values in figures.items()
        }
    return told


def begun(report: Path, budget: Mapping[str, Any]) -> tuple[dict[str, Any], pd.DataFrame]:
    """What an earlier run with this ``budget`` measured; nothing where there was none."""
    if report.exists() and (told := read_json(report))["budget"] == budget:
        return dict(told), pd.read_parquet(report.with_suffix(".parquet"))
    return {"budget": budget, "settings": {}, "runs": []}, pd.DataFrame()


def write(report: Path, told: Mapping[str, Any], aucs: pd.DataFrame) -> None:
    """The report, AUCs of requests and a figure."""
    with replacing(report.with_suffix(".parquet")) as temporary:
        aucs.astype(np.float32).to_parquet(temporary, compression="zstd", index=False)
    write_json(report, told)
    title = f"{report.stem.partition('_')[2]}: is the difference more than the seed's?"
    plots.save(plots.dots_by_seed(pd.DataFrame(told["runs"]), "gauc", title), report.with_suffix(".png"))


def main() -> None:
    """Tune, measure, write a report and a figure for each split: reports/benchmarks/ranking_SPLIT.*."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10, help="of each contender")
    parser.add_argument("--finalists", type=int, default=3, help=f"of the trials, asked with {DRAWS} seeds")
    parser.add_argument("--turns", type=int, default=2, choices=(1, 2), help="2: late is judged on, too")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="of a fold, to learn from")
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    parser.add_argument("--only", nargs="+", help="contenders; those that are in the report already stay")
    asked = parser.parse_args()
    params = yaml.safe_load(Path("params.yaml").read_text())
    dataset, seed = Dataset.load(Path("artifacts/data")), params["seed"]
    budget = {name: getattr(asked, name) for name in ("trials", "finalists", "turns", "requests", "seeds")}
    budget["draws"] = DRAWS
    for split in asked.splits:
        every_split = {name: value for name, value in params["mmoe"].items() if name != "at"}
        of_split = overridden(every_split, params["mmoe"].get("at", {}).get(split, {}))
        report = REPORTS / f"ranking_{split}.json"
        merged = read_json(Path("artifacts") / split / "merging" / "merging.json")
        exam, every = Exam.of(dataset, split, of_split), contenders(dataset, of_split)
        of = {**budget, "of": fingerprint([merged, of_split, exam.feature_names])}
        for each in every:
            known = begun(report, of)[0]["settings"]
            if each.name in known or each.name not in (asked.only or [each.name]):
                continue
            settings = tuned(each, exam, budget, seed)
            rows, its = measured(each, settings, exam, budget, seed)
            print(pd.DataFrame(rows).to_string(index=False), flush=True)
            told, aucs = begun(report, of)  # now, as another run may have written meanwhile
            aucs = pd.concat([aucs, its], axis=1)
            told["contenders"] = [each.name for each in every]
            told["settings"][each.name] = settings
            told["runs"] += rows
            told |= {"models": summary(pd.DataFrame(told["runs"])), "ahead": ahead(aucs, seed)}
            write(report, told, aucs)


if __name__ == "__main__":
    main()
