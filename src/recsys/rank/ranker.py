"""MMoE over the FeatureSpec: learns on candidates, scores candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from recsys.artifacts import ArtifactError, read_arrays, read_json, replacing, write_arrays, write_json
from recsys.features.attributes import Attributes
from recsys.features.candidates import CandidateFeatures
from recsys.features.spec import FeatureSpec
from recsys.nn.losses import multi_task
from recsys.rank.calibration import Platt
from recsys.rank.inputs import Arrays, Examples, Inputs, RankingInputs
from recsys.rank.network import Model, RankingNetwork
from recsys.train import Batch, fit, one_cycle, reproducible
from recsys.types import PAD, MergedCandidates, Requests

PARAMS = (
    "tasks",
    "formula",
    "model",
    "embedding_dim",
    "n_experts",
    "widths",
    "dropout",
    "listwise",
    "requests_per_batch",
    "epochs",
    "learning_rate",
    "regularization",
    "seed",
    "threads",
)
LABEL, INSIDE = "label.", "inside"


@dataclass(frozen=True)
class Scores:
    """Each task's ``probabilities``, the formula's ``scores``: (n, k) float32, scores -inf where padded."""

    probabilities: Arrays
    scores: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """Places (n, k) of the candidates, best first; ties stay in the order they came."""
        return np.argsort(-self.scores, axis=1, kind="stable")


@dataclass(kw_only=True, eq=False)
class Ranker:
    """Scores what recall found; the user's own features and a lookup of the items' are all it needs.

    ``formula`` gives each task's exponent: score = product of probability ** exponent (a task left out
    does not count). The loss of each task is its cross-entropy and ``listwise`` times a softmax over each
    request's candidates (`top_one`): the first is about probabilities, the second is what an order is. Once
    trained, each task's logits are calibrated on the examples (`Platt`).
    """

    tasks: tuple[str, ...]
    formula: Mapping[str, float]
    model: Model = "mmoe"
    embedding_dim: int = 32
    n_experts: int = 4
    widths: tuple[int, ...] = (64, 32)
    dropout: float = 0.1
    listwise: float = 1.0
    requests_per_batch: int = 8
    epochs: int = 6
    learning_rate: float = 0.002
    regularization: float = 0.01
    seed: int = 0
    threads: int = 1
    log_: list[dict[str, float]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if unknown := sorted(self.formula.keys() - set(self.tasks)):
            raise ValueError(
                f"formula names {unknown[0]!r}, which is no task; tasks are {', '.join(self.tasks)}"
            )

    def fit(
        self,
        examples: Sequence[Examples],
        attributes: Attributes,
        validate: Callable[[Self], Mapping[str, float]] | None = None,
    ) -> Self:
        """Train on the examples of one fold or more; ``log_`` gets a row an epoch, ``validate``'s in it."""
        self.inputs_ = RankingInputs.fit(examples, attributes)
        with reproducible(self.seed, self.threads):
            self.network_ = self._network()
        self.calibration_ = {task: Platt() for task in self.tasks}
        batches = _Batches(self, examples)
        self.log_ = fit(
            self.network_,
            batches,
            self._loss,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            schedule=one_cycle,
            validate=None if validate is None else lambda _: validate(self),
            seed=self.seed,
            threads=self.threads,
        )
        self.calibration_ = self._calibrated(batches)
        return self

    def score(self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates) -> Scores:
        """Score each candidate; a batch equals one by one."""
        n, k = merged.items.shape
        inputs = self.inputs_.of(features, requests, merged)
        probabilities = {task: np.zeros((n, k), dtype=np.float32) for task in self.tasks}
        # A request at a time, on one thread: the last bits of a product depend on who else is in the matrix,
        # and where in it one stands.
        with torch.no_grad(), reproducible(self.seed, threads=1):
            for row in range(n):
                for task, logit in self.network_(_batch(inputs, np.array([row]), k)).items():
                    probabilities[task][row] = self.calibration_[task](logit.numpy())
        return Scores(probabilities, self._combined(probabilities, merged.items != PAD))

    def score_examples(self, examples: Examples) -> Scores:
        """Score the candidates of ``examples``."""
        return self.score(examples.features, examples.requests, examples.merged)

    @property
    def n_parameters(self) -> int:
        return sum(each.numel() for each in self.network_.parameters())

    def gate_weights(
        self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates
    ) -> Arrays:
        """How much each task listens to each expert, (candidates, experts), padding left out; MMoE only."""
        if self.model != "mmoe":
            raise ValueError(f"a {self.model} has no gates")
        batch = _batch(
            self.inputs_.of(features, requests, merged), np.arange(len(requests)), merged.items.shape[1]
        )
        with torch.no_grad():
            weights = self.network_.body.gate_weights(self.network_.embed(batch))  # type: ignore[operator]
        inside = (merged.items != PAD).ravel()
        return {task: each.numpy()[inside] for task, each in weights.items()}

    def save(self, folder: Path) -> None:
        """Write parameters, spec, encoded tables and weights."""
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        write_json(folder / "spec.json", self.inputs_.spec.to_json())
        write_json(
            folder / "calibration.json", {task: asdict(each) for task, each in self.calibration_.items()}
        )
        tables = {"user": self.inputs_.users, "item": self.inputs_.items}
        arrays = {
            f"{table}.{name}": values for table, each in tables.items() for name, values in each.items()
        }
        write_arrays(folder / "tables.npz", arrays)
        metadata = {"fingerprint": self.inputs_.spec.fingerprint}
        with replacing(folder / "weights.safetensors") as temporary:
            save_file(
                {name: each.detach() for name, each in self.network_.named_parameters()}, temporary, metadata
            )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; ArtifactError where the weights are of another spec."""
        params: dict[str, Any] = read_json(folder / "params.json")
        ranker = cls(**{**params, "tasks": tuple(params["tasks"]), "widths": tuple(params["widths"])})
        arrays = read_arrays(folder / "tables.npz")
        tables = {
            table: {
                name.partition(".")[2]: each for name, each in arrays.items() if name.startswith(f"{table}.")
            }
            for table in ("user", "item")
        }
        spec = FeatureSpec.from_json(read_json(folder / "spec.json"))
        ranker.inputs_ = RankingInputs(spec, tables["user"], tables["item"])
        calibration: dict[str, Any] = read_json(folder / "calibration.json")
        ranker.calibration_ = {task: Platt(**each) for task, each in calibration.items()}
        with reproducible(ranker.seed, ranker.threads):
            ranker.network_ = ranker._network().eval()
        _restore(ranker.network_, folder / "weights.safetensors", spec.fingerprint)
        return ranker

    def _network(self) -> RankingNetwork:
        return RankingNetwork(
            self.inputs_.spec,
            self.tasks,
            model=self.model,
            embedding_dim=self.embedding_dim,
            n_experts=self.n_experts,
            widths=self.widths,
            dropout=self.dropout,
        )

    def _loss(self, network: nn.Module, batch: Batch) -> Tensor:
        labels = {task: batch[LABEL + task] for task in self.tasks}
        return multi_task(network(batch), labels, batch[INSIDE], self.listwise)

    def _calibrated(self, batches: _Batches) -> dict[str, Platt]:
        """Platt scaling of each task on the examples that ``batches`` hold."""
        logits: dict[str, list[np.ndarray]] = {task: [] for task in self.tasks}
        labels: dict[str, list[np.ndarray]] = {task: [] for task in self.tasks}
        with torch.no_grad(), reproducible(self.seed, self.threads):
            for batch in batches(0):
                inside = batch[INSIDE].ravel()
                for task, logit in self.network_(batch).items():
                    logits[task].append(logit[inside].numpy())
                    labels[task].append(batch[LABEL + task].ravel()[inside].numpy())
        none = np.zeros(0, dtype=np.float32)
        return {
            task: Platt.fit(np.concatenate([none, *logits[task]]), np.concatenate([none, *labels[task]]))
            for task in self.tasks
        }

    def _combined(self, probabilities: Arrays, inside: np.ndarray) -> np.ndarray:
        total = np.zeros(inside.shape, dtype=np.float32)
        for task, exponent in self.formula.items():
            total += np.float32(exponent) * np.log(np.maximum(probabilities[task], np.float32(1e-12)))
        return np.where(inside, np.exp(total), -np.inf).astype(np.float32)


class _Batches:
    """Whole requests with all their candidates, in a new order each epoch; those without any are left out."""

    def __init__(self, ranker: Ranker, examples: Sequence[Examples]) -> None:
        self.ranker = ranker
        self.examples = examples
        self.inputs = [ranker.inputs_.of(each.features, each.requests, each.merged) for each in examples]
        self.answered = [np.flatnonzero((each.merged.items != PAD).any(axis=1)) for each in examples]

    def __len__(self) -> int:
        return sum(-(-len(rows) // self.ranker.requests_per_batch) for rows in self.answered)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([self.ranker.seed, epoch])
        size = self.ranker.requests_per_batch
        batches = [
            (part, rows[start : start + size])
            for part, rows in enumerate(map(rng.permutation, self.answered))
            for start in range(0, len(rows), size)
        ]
        for number in rng.permutation(len(batches)):
            yield self._batch(*batches[number])

    def _batch(self, part: int, rows: np.ndarray) -> Batch:
        examples = self.examples[part]
        batch = _batch(self.inputs[part], rows, examples.merged.items.shape[1])
        for task in self.ranker.tasks:
            batch[LABEL + task] = torch.from_numpy(examples.labels[task][rows])
        batch[INSIDE] = torch.from_numpy(examples.merged.items[rows] != PAD)
        return batch


def _batch(inputs: Inputs, rows: np.ndarray, k: int) -> dict[str, Tensor]:
    """Columns of the requests ``rows`` and of all their ``k`` candidates each."""
    candidates = (rows[:, None] * k + np.arange(k)).ravel()
    return {
        **{name: torch.from_numpy(values[rows]) for name, values in inputs.requests.items()},
        **{name: torch.from_numpy(values[candidates]) for name, values in inputs.candidates.items()},
    }


def _restore(network: nn.Module, path: Path, fingerprint: str) -> None:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("fingerprint") != fingerprint:
                raise ArtifactError(f"{path}: these weights belong to another FeatureSpec")
        network.load_state_dict(load_file(path))
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{path}: cannot be read as this network's weights ({error})") from error
