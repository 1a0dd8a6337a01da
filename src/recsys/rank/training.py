"""How a ranker's network learns; all of ranking that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys.features.history import HISTORY_IDS
from recsys.inference import Weights
from recsys.nn.losses import multi_task
from recsys.rank.inputs import Examples, Inputs
from recsys.rank.network import MET, RankingNetwork, SingleTasks
from recsys.train import Batch, fit, load_weights, one_cycle, reproducible, weights_of

if TYPE_CHECKING:
    from recsys.rank.ranker import Ranker

LABEL, COUNTED = "label.", "counted"


def train(
    ranker: Ranker,
    examples: Sequence[Examples],
    validate: Callable[[Weights], Mapping[str, float]] | None,
    start: Weights | None,
) -> tuple[Weights, list[dict[str, float]]]:
    """Train on ``examples``: the weights, and a row an epoch with what ``validate`` says of them then.

    From the weights ``start`` on, where there are any.
    """

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        labels = {task: batch[LABEL + task] for task in ranker.tasks}
        return multi_task(network(batch), labels, batch[COUNTED], ranker.listwise, ranker.task_weights)

    with reproducible(ranker.seed, ranker.threads):
        network = build(ranker)
    if start is not None:
        load_weights(network, start)
    log = fit(
        network,
        _Batches(ranker, examples),
        loss,
        epochs=ranker.epochs,
        learning_rate=ranker.learning_rate,
        regularization=ranker.regularization,
        schedule=one_cycle,
        validate=None if validate is None else lambda _: validate(weights_of(network)),
        seed=ranker.seed,
        threads=ranker.threads,
        processes=ranker.processes,
    )
    return weights_of(network), log


def build(ranker: Ranker) -> RankingNetwork | SingleTasks:
    """Make the network as the parameters say and with new weights, once ``ranker.inputs_`` are fitted."""
    shape: dict[str, Any] = {
        name: getattr(ranker, name) for name in ("embedding_dim", "n_experts", "widths", "dropout", "heads")
    }
    shape["history_length"] = ranker.inputs_.history.length if ranker.inputs_.history else 0
    if ranker.model == "single_task":
        return SingleTasks(ranker.inputs_.spec, ranker.tasks, **shape)
    return RankingNetwork(ranker.inputs_.spec, ranker.tasks, model=ranker.model, **shape)


class _Batches:
    """Whole requests with all candidates, in a new order each epoch, without those of which none counts."""

    def __init__(self, ranker: Ranker, examples: Sequence[Examples]) -> None:
        self.ranker = ranker
        self.examples = examples
        self.inputs = [ranker.inputs_.of(each.features, each.requests, each.merged) for each in examples]
        self.requests = -(-ranker.requests_per_batch // ranker.processes)
        self.answered = [np.flatnonzero(each.counted.any(axis=1)) for each in examples]

    def __len__(self) -> int:
        return sum(-(-len(rows) // self.requests) for rows in self.answered)

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        rng = np.random.default_rng([self.ranker.seed, epoch])
        size = self.requests
        batches = [
            (part, rows[start : start + size])
            for part, rows in enumerate(map(rng.permutation, self.answered))
            for start in range(0, len(rows), size)
        ]
        order = rng.permutation(len(batches))
        return lambda number: self._batch(*batches[order[number]])

    def _batch(self, part: int, rows: np.ndarray) -> Batch:
        examples = self.examples[part]
        batch = tensors(self.inputs[part], rows, examples.merged.items.shape[1])
        for task in self.ranker.tasks:
            batch[LABEL + task] = torch.from_numpy(examples.labels[task][rows])
        batch[COUNTED] = torch.from_numpy(examples.counted[rows])
        return batch


def tensors(inputs: Inputs, rows: np.ndarray, k: int) -> dict[str, Tensor]:
    """Columns of the requests ``rows``, of all their ``k`` candidates each and of what they met."""
    candidates = (rows[:, None] * k + np.arange(k)).ravel()
    columns = {
        **{name: values[rows] for name, values in inputs.requests.items()},
        **{name: values[candidates] for name, values in inputs.candidates.items()},
    }
    if HISTORY_IDS in columns:
        met = columns[HISTORY_IDS].ravel()  # PAD is -1: the last row
        columns |= {MET + name: values[met] for name, values in inputs.items.items()}
    return {name: torch.from_numpy(values) for name, values in columns.items()}
