"""MMoE over the FeatureSpec: learns on candidates, scores candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys.artifacts import ArtifactError, read_arrays, read_json, write_arrays, write_json
from recsys.features.attributes import Attributes
from recsys.features.candidates import CandidateFeatures, CandidateNumbers
from recsys.features.history import HistoryEncoder
from recsys.features.spec import FeatureSpec
from recsys.features.values import FeatureError
from recsys.inference import Arrays, Weights, load_weights, save_weights, within
from recsys.rank.calibration import Platt, levels
from recsys.rank.inputs import Examples, RankingInputs
from recsys.rank.scoring import Scorer, Told
from recsys.types import PAD, MergedCandidates, Requests

if TYPE_CHECKING:
    from recsys.rank.network import Model

PARAMS = (
    "tasks",
    "formula",
    "task_weights",
    "model",
    "embedding_dim",
    "n_experts",
    "widths",
    "dropout",
    "history_length",
    "heads",
    "listwise",
    "requests_per_batch",
    "epochs",
    "learning_rate",
    "regularization",
    "seed",
    "threads",
    "processes",
)
WEIGHTS = "weights.safetensors"
ROWS = 64
"""Requests that are encoded at once."""


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
    does not count; an empty one is the first task alone). The loss of each task is its cross-entropy and
    ``listwise`` times a softmax over each request's candidates (`top_one`): the first is about
    probabilities, the second is what an order is. In the sum a task weighs what ``task_weights`` say, else 1:
    tasks share what has room for one only. Once trained, each task's logits are calibrated on the
    examples (`Platt`). With a ``history_length``, so many of a user's last items are weighed for each
    candidate, in ``heads`` ways (`TargetAttention`).
    """

    tasks: tuple[str, ...]
    formula: Mapping[str, float] = field(default_factory=dict)
    task_weights: Mapping[str, float] = field(default_factory=dict)
    model: Model = "mmoe"
    embedding_dim: int = 32
    n_experts: int = 4
    widths: tuple[int, ...] = (64, 32)
    dropout: float = 0.1
    history_length: int = 0
    heads: int = 2
    listwise: float = 1.0
    requests_per_batch: int = 8
    epochs: int = 6
    learning_rate: float = 0.002
    regularization: float = 0.01
    seed: int = 0
    threads: int = 1
    processes: int = 1
    log_: list[dict[str, float]] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        self.formula = self.formula or {self.tasks[0]: 1.0}
        self.task_weights = self.task_weights or {}
        for name in ("formula", "task_weights"):
            if unknown := sorted(getattr(self, name).keys() - set(self.tasks)):
                raise ValueError(
                    f"{name} names {unknown[0]!r}, which is no task; tasks are {', '.join(self.tasks)}"
                )

    def fit(
        self,
        examples: Sequence[Examples],
        attributes: Attributes,
        validate: Callable[[Self], Mapping[str, float]] | None = None,
    ) -> Self:
        """Train on the examples of one fold or more; ``log_`` gets a row an epoch, ``validate``'s in it."""
        self._check_labels(examples)
        self.inputs_ = RankingInputs.fit(examples, attributes, self.history_length)
        self.calibration_ = {task: Platt() for task in self.tasks}
        self._train(examples, validate, None)
        self.calibration_ = self._calibrated(examples)
        return self

    def fit_from(self, start: Self, examples: Sequence[Examples], attributes: Attributes) -> Self:
        """Train from the weights of ``start`` on, with its encoders and its calibration.

        Users and items of ``examples`` are as ``start`` numbers them; those of ``attributes`` as this one
        shall from now on.
        """
        self.inputs_, self.calibration_ = start.inputs_, start.calibration_
        weights = self._train(examples, None, start.weights_)
        self.inputs_ = self.inputs_.refreshed(attributes)
        return self._use(weights)

    def score(self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates) -> Scores:
        """Score each candidate; a batch equals one by one."""
        logits, inside = self._logits(features, requests, merged), merged.items != PAD
        probabilities = {
            task: self.calibration_[task](logits[:, :, n], levels(logits[:, :, n], inside))
            for n, task in enumerate(self.tasks)
        }
        return Scores(probabilities, self._combined(probabilities, inside))

    def score_examples(self, examples: Examples) -> Scores:
        """Score the candidates of ``examples``."""
        return self.score(examples.features, examples.requests, examples.merged)

    @property
    def n_parameters(self) -> int:
        return sum(each.size for each in self.weights_.values())

    def gate_weights(
        self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates
    ) -> Arrays:
        """How much each task listens to each expert of the first level, (candidates, experts), no padding.

        A shared bottom is one expert; where each task has one of its own it listens to nobody else.
        """
        inside, blocks = merged.items != PAD, list(self._told(features, requests, merged))
        weights: list[np.ndarray] = []
        for scorer in self.scorers_:
            layers = [scorer.first_layers(told, self._known(scorer, told.numbers)) for _, told in blocks]
            gates = np.stack([gates for each in layers for _, gates in each])[inside]
            weights += [gates[:, number] for number in range(len(scorer.body.heads[1]))]
        return dict(zip(self.tasks, weights, strict=True))

    def save(self, folder: Path) -> None:
        """Write parameters, spec, encoded tables, calibration and weights."""
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        write_json(folder / "spec.json", self.inputs_.spec.to_json())
        history = self.inputs_.history
        write_json(folder / "history.json", None if history is None else history.to_json())
        calibration = {task: asdict(each) for task, each in self.calibration_.items()}
        write_json(folder / "calibration.json", calibration)
        tables = {"user": self.inputs_.users, "item": self.inputs_.items}
        arrays = {
            f"{table}.{name}": values for table, each in tables.items() for name, values in each.items()
        }
        write_arrays(folder / "tables.npz", arrays)
        save_weights(folder / WEIGHTS, self.weights_, self.inputs_.spec.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; ArtifactError where the weights are of another spec or network."""
        params: dict[str, Any] = read_json(folder / "params.json")
        ranker = cls(**{**params, "tasks": tuple(params["tasks"]), "widths": tuple(params["widths"])})
        arrays = read_arrays(folder / "tables.npz")
        spec = FeatureSpec.from_json(read_json(folder / "spec.json"))
        history: dict[str, Any] | None = read_json(folder / "history.json")
        encoder = None if history is None else HistoryEncoder.from_json(history)
        ranker.inputs_ = RankingInputs(spec, within(arrays, "user"), within(arrays, "item"), encoder)
        calibration: dict[str, Any] = read_json(folder / "calibration.json")
        ranker.calibration_ = {task: Platt(**each) for task, each in calibration.items()}
        try:
            return ranker._use(load_weights(folder / WEIGHTS, spec.fingerprint))
        except (KeyError, ValueError) as error:
            raise ArtifactError(
                f"{folder / WEIGHTS}: these weights belong to another network ({error})"
            ) from error

    def _check_labels(self, examples: Sequence[Examples]) -> None:
        """Raise ValueError where an ESMM's labels are not nested: its tasks are products of those before."""
        for before, task in pairwise(self.tasks) if self.model == "esmm" else ():
            if any((each.labels[task] > each.labels[before]).any() for each in examples):
                raise ValueError(f"esmm: {task!r} must imply {before!r}, which stands before it")

    def _train(
        self,
        examples: Sequence[Examples],
        validate: Callable[[Self], Mapping[str, float]] | None,
        start: Weights | None,
    ) -> Weights:
        # Here, because scoring needs no torch.
        from recsys.rank.training import train

        validated = None if validate is None else lambda weights: validate(self._use(weights))
        weights, self.log_ = train(self, examples, validated, start)
        self._use(weights)
        return weights

    def _use(self, weights: Weights) -> Self:
        self.weights_ = weights
        self.scorers_ = [
            Scorer.of(own, self.inputs_, tasks, self.model) for tasks, own in self._networks(weights)
        ]
        self._last_known: dict[Scorer, tuple[np.ndarray, np.ndarray]] = {}
        return self

    def _networks(self, weights: Weights) -> list[tuple[tuple[str, ...], Weights]]:
        """Tasks and weights of each network: one for all, or one for each."""
        if self.model != "single_task":
            return [(self.tasks, weights)]
        return [((task,), within(weights, f"networks.{task}")) for task in self.tasks]

    def _logits(
        self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates
    ) -> np.ndarray:
        """(n, k, tasks) float32."""
        logits = np.zeros((*merged.items.shape, len(self.tasks)), dtype=np.float32)
        for rows, told in self._told(features, requests, merged):
            own = [scorer.logits(told, self._known(scorer, told.numbers)) for scorer in self.scorers_]
            logits[rows] = np.concatenate(own, axis=2)
        return logits

    def _told(
        self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates
    ) -> Iterator[tuple[slice, Told]]:
        """Blocks of requests, encoded together."""
        found, known = features.found_names(merged.channels), features.known_names
        for expected, told in (
            (self.scorers_[0].found.sources, found),
            (self.scorers_[0].known.sources, known),
        ):
            if told != expected:
                raise FeatureError(f"this ranker reads {expected} of a candidate, not {told}")
        for start in range(0, len(requests), ROWS):
            rows = slice(start, start + ROWS)
            asked = self.inputs_.request(features, requests[rows])
            numbers = features.candidate_numbers(requests[rows], merged[rows])
            yield rows, Told(requests.users[rows], asked, numbers)

    def _known(self, scorer: Scorer, numbers: CandidateNumbers) -> np.ndarray:
        """`Scorer.first_of_known`, kept for as long as the same table comes again."""
        if scorer not in self._last_known or self._last_known[scorer][0] is not numbers.known:
            self._last_known[scorer] = numbers.known, scorer.first_of_known(numbers)
        return self._last_known[scorer][1]

    def _calibrated(self, examples: Sequence[Examples]) -> dict[str, Platt]:
        """Platt scaling of each task on ``examples``."""
        logits = [self._logits(each.features, each.requests, each.merged) for each in examples]
        found = {}
        for number, task in enumerate(self.tasks):
            parts = []
            for each, of_tasks in zip(examples, logits, strict=True):
                own, counted = of_tasks[:, :, number], each.counted
                its = np.broadcast_to(levels(own, each.inside)[:, None], own.shape)
                parts.append((own[counted], its[counted], each.labels[task][counted]))
            found[task] = Platt.fit(*map(np.concatenate, zip(*parts, strict=True)))
        return found

    def _combined(self, probabilities: Arrays, inside: np.ndarray) -> np.ndarray:
        total = np.zeros(inside.shape, dtype=np.float32)
        for task, exponent in self.formula.items():
            total += np.float32(exponent) * np.log(np.maximum(probabilities[task], np.float32(1e-12)))
        return np.where(inside, np.exp(total), -np.inf).astype(np.float32)
