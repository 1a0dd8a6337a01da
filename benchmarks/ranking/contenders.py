"""Who is compared: each learns from examples with the settings given and scores others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import lightgbm
import numpy as np
import optuna

from recsys.artifacts import read_json, write_json
from recsys.features.attributes import Attributes
from recsys.inference import Arrays
from recsys.rank.inputs import Examples, RankingInputs
from recsys.rank.ranker import Ranker, Scores
from recsys.types import PAD

HERE = Path(__file__).resolve().parent
ENVIRONMENT = Path("artifacts/benchmarks/ranking")
TOWER = [16]
"""Widths of torch-rechub's tower of each task."""
LESS = 0.3
"""What a task weighs that the lists are not ordered by, to begin with."""
ATTENDED = 50
"""Items of a history, where any are attended to."""
Settings = Mapping[str, Any]
Widths = Mapping[int, tuple[int, ...]]
"""Of an expert, by how many there are."""


def sized(widths: Widths, n_experts: int) -> dict[str, Any]:
    """As many experts, or the nearest number that there are widths for, and their widths."""
    n = min(widths, key=lambda each: abs(each - n_experts))
    return {"n_experts": n, "widths": widths[n]}


@dataclass(frozen=True)
class Result:
    """``scores`` of the examples that were to be scored, and what learning took."""

    scores: Scores
    seconds: float
    parameters: int


class Contender(Protocol):
    """``starts`` are tried first, `proposed` is what a trial tries; not all tell ``probable`` scores."""

    name: str
    starts: Sequence[Settings]
    probable: bool

    def proposed(self, trial: optuna.Trial) -> Settings: ...
    def run(self, settings: Settings, learned: Sequence[Examples], scored: Examples, seed: int) -> Result: ...


@dataclass(frozen=True)
class Ours:
    """`Ranker` with one of its models: ``given`` settings first, and ``widths`` by number of experts."""

    name: str
    attributes: Attributes
    tasks: tuple[str, ...]
    shape: Settings
    given: Settings
    widths: Widths
    probable: bool = True

    @property
    def beside(self) -> Sequence[str]:
        """Tasks that take room from the first, by which lists are ordered: none where nothing is shared."""
        return () if self.shape["model"] == "single_task" else self.tasks[1:]

    @property
    def starts(self) -> Sequence[Settings]:
        """What is given, without a history and with one, and with less for the tasks `beside`."""
        given = {**self.given, **sized(self.widths, self.given["n_experts"]), "history_length": 0}
        less = {**given, "task_weights": dict.fromkeys(self.beside, LESS)}
        return [given, {**given, "history_length": ATTENDED}, *([less] if self.beside else [])]

    def proposed(self, trial: optuna.Trial) -> Settings:
        return {
            **sized(self.widths, trial.suggest_categorical("n_experts", list(self.widths))),
            "task_weights": {
                task: trial.suggest_float(f"weight of {task}", 0.1, 3.0, log=True) for task in self.beside
            },
            "history_length": trial.suggest_categorical("history_length", [0, ATTENDED]),
            "learning_rate": trial.suggest_float("learning_rate", 5e-4, 1e-2, log=True),
            "epochs": trial.suggest_int("epochs", 2, 6),
            "requests_per_batch": trial.suggest_categorical("requests_per_batch", [4, 8, 16]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.3),
            "listwise": trial.suggest_float("listwise", 0.03, 3.0, log=True),
            "regularization": trial.suggest_float("regularization", 1e-3, 0.3, log=True),
        }

    def run(self, settings: Settings, learned: Sequence[Examples], scored: Examples, seed: int) -> Result:
        told = {"tasks": self.tasks, "formula": {self.tasks[0]: 1.0}, **self.shape, **settings}
        ranker, began = Ranker(**told, seed=seed), time.perf_counter()
        ranker.fit(learned, self.attributes)
        seconds = time.perf_counter() - began
        return Result(ranker.score_examples(scored), seconds, ranker.n_parameters)


@dataclass(frozen=True)
class Trees:
    """LightGBM, for each task by itself; ``lambdarank`` orders, and tells no probabilities."""

    name: str
    objective: str
    attributes: Attributes
    tasks: tuple[str, ...]

    @property
    def probable(self) -> bool:
        return self.objective == "binary"

    @property
    def starts(self) -> Sequence[Settings]:
        return [
            {"learning_rate": 0.05, "rounds": 150, "num_leaves": 31, "min_data_in_leaf": 50, "share": 0.5}
        ]

    def proposed(self, trial: optuna.Trial) -> Settings:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
            "rounds": trial.suggest_int("rounds", 50, 400),
            "num_leaves": trial.suggest_int("num_leaves", 7, 63, log=True),
            "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 20, 1000, log=True),
            "share": trial.suggest_float("share", 0.2, 1.0),
        }

    def run(self, settings: Settings, learned: Sequence[Examples], scored: Examples, seed: int) -> Result:
        inputs, began = RankingInputs.fit(learned, self.attributes), time.perf_counter()
        x = np.concatenate([table(inputs, each)[each.inside.ravel()] for each in learned])
        sizes = np.concatenate([each.inside.sum(axis=1) for each in learned])
        told = {
            "objective": self.objective,
            "learning_rate": settings["learning_rate"],
            "num_leaves": settings["num_leaves"],
            "min_data_in_leaf": settings["min_data_in_leaf"],
            "feature_fraction": settings["share"],
            "lambdarank_truncation_level": 30,
            "num_threads": 1,
            "deterministic": True,
            "verbose": -1,
            "seed": seed,
        }
        models = {}
        for task in self.tasks:
            y = np.concatenate([each.labels[task][each.inside] for each in learned])
            group = sizes[sizes > 0] if self.objective == "lambdarank" else None
            data = lightgbm.Dataset(x, y, group=group, free_raw_data=False)
            models[task] = lightgbm.train(told, data, settings["rounds"])
        seconds, rows = time.perf_counter() - began, table(inputs, scored)
        return Result(
            scores_of({task: model.predict(rows, num_threads=1) for task, model in models.items()}, scored),
            seconds,
            sum(model.num_trees() * (2 * settings["num_leaves"] - 1) for model in models.values()),
        )


@dataclass(frozen=True)
class TorchRechub:
    """Its MMOE, in an environment of its own, as large as ours; ``weighed`` says how tasks are."""

    attributes: Attributes
    tasks: tuple[str, ...]
    embedding_dim: int
    widths: Widths
    name: str = "torch-rechub mmoe"
    probable: bool = True

    @property
    def starts(self) -> Sequence[Settings]:
        """The library's own, where it has any."""
        own = {
            **sized(self.widths, 4),
            "learning_rate": 1e-3,
            "regularization": 1e-5,
            "epochs": 3,
            "batch_size": 1024,
            "dropout": 0.0,
            "weighed": None,
        }
        return [own]

    def proposed(self, trial: optuna.Trial) -> Settings:
        return {
            **sized(self.widths, trial.suggest_categorical("n_experts", list(self.widths))),
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
            "regularization": trial.suggest_float("regularization", 1e-7, 1e-3, log=True),
            "epochs": trial.suggest_int("epochs", 1, 5),
            "batch_size": trial.suggest_categorical("batch_size", [512, 1024, 2048]),
            "weighed": trial.suggest_categorical("weighed", [None, "uwl"]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.3),
        }

    def run(self, settings: Settings, learned: Sequence[Examples], scored: Examples, seed: int) -> Result:
        python, inputs = environment(), RankingInputs.fit(learned, self.attributes)
        with TemporaryDirectory() as name:
            folder = Path(name)
            parts = [columns(inputs, each) for each in learned]
            inside = [each.inside.ravel() for each in learned]
            for column in parts[0]:
                values = [part[column][rows] for part, rows in zip(parts, inside, strict=True)]
                np.save(folder / f"learned.{column}.npy", np.concatenate(values))
            labels = [
                np.column_stack([each.labels[task][each.inside] for task in self.tasks]) for each in learned
            ]
            np.save(folder / "learned.labels.npy", np.concatenate(labels))
            for column, values in columns(inputs, scored).items():
                np.save(folder / f"scored.{column}.npy", values)
            told = {
                "embedding_dim": self.embedding_dim,
                "tower": TOWER,
                **settings,
                "seed": seed,
                "tasks": self.tasks,
                "sizes": sizes(inputs),
            }
            write_json(folder / "settings.json", told | {"numbers": parts[0]["numbers"].shape[1]})
            command = [str(python), str(HERE / "with_torch_rechub.py"), name]
            done = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
            if done.returncode:
                raise SystemExit(done.stderr.decode()[-3000:])
            p, took = np.load(folder / "probabilities.npy"), read_json(folder / "told.json")
        tasks = {task: p[:, number] for number, task in enumerate(self.tasks)}
        return Result(scores_of(tasks, scored), took["seconds"], int(took["parameters"]))


def environment() -> Path:
    """The peer's own Python, made of its pins where it is missing or they have changed."""
    pins, folder = HERE / "requirements.txt", ENVIRONMENT / "environment"
    made = folder / "requirements.txt"
    if not made.exists() or made.read_text() != pins.read_text():
        print("an environment for torch-rechub", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--requirement", str(pins)]
        subprocess.run(pip, check=True)
        made.write_text(pins.read_text())
    return folder / "bin" / "python"


def columns(inputs: RankingInputs, examples: Examples) -> dict[str, np.ndarray]:
    """What the ranker reads, a row a candidate: all ``numbers`` in one, columns of ids and of lists of ids.

    Ids start at 1, padding is 0.
    """
    told, k = inputs.of(examples.features, examples.requests, examples.merged), examples.merged.items.shape[1]
    repeated = {name: np.repeat(values, k, axis=0) for name, values in told.requests.items()}
    every = repeated | dict(told.candidates)
    kinds = {each.name: each.encoder.kind for each in inputs.spec.columns}
    numbers = np.concatenate([every[name] for name, kind in kinds.items() if kind == "number"], axis=1)
    found = {"numbers": numbers}
    for name, kind in kinds.items():
        if kind != "number":
            found[f"{'ids' if kind == 'id' else 'lists'}_{name}"] = every[name] + 1
    return found


def sizes(inputs: RankingInputs) -> dict[str, int]:
    """Rows of the embedding table of each column of ids, padding included."""
    return {
        f"{'ids' if each.encoder.kind == 'id' else 'lists'}_{each.name}": each.encoder.size + 1
        for each in inputs.spec.columns
        if each.encoder.kind != "number"
    }


def table(inputs: RankingInputs, examples: Examples) -> np.ndarray:
    """The same for trees, (n * k, d) float32: ids as they are, of lists of ids one column for each."""
    found = columns(inputs, examples)
    parts = [found["numbers"]]
    for name, size in sizes(inputs).items():
        if name.startswith("ids"):
            parts.append(found[name][:, None])
        else:
            rows, places = np.nonzero(found[name])
            held = np.zeros((len(found[name]), size), dtype=np.float32)
            held[rows, found[name][rows, places]] = 1
            parts.append(held)
    return np.concatenate(parts, axis=1, dtype=np.float32)


def scores_of(predicted: Arrays, examples: Examples) -> Scores:
    """What was predicted of each candidate, in the order of the first task."""
    shaped = {task: each.reshape(examples.merged.items.shape) for task, each in predicted.items()}
    first = next(iter(shaped.values())).astype(np.float32)
    return Scores(shaped, np.where(examples.merged.items == PAD, -np.inf, first))
