"""How the factorization machine learns; all of the channel that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.features.history import HISTORY_IDS
from recsys.inference import PADDING, Arrays
from recsys.nn.fm import FactorizationMachine
from recsys.nn.losses import sampled_softmax
from recsys.recall import tower_training
from recsys.recall.fm import history_weights
from recsys.recall.tower_inputs import TowerInputs
from recsys.recall.tower_training import ITEM_ROWS, LOG_Q
from recsys.train import Batch, fit, one_cycle, reproducible
from recsys.types import Interactions

if TYPE_CHECKING:
    from recsys.recall.fm import FmRecall

USER_ROWS, WEIGHTS = "user_rows", "history_weights"


@dataclass(frozen=True)
class Trained:
    """What answers, and how many numbers each part of the machine has learned.

    Arrays: ``users`` (n_users + 1, d), the last the unknown's, without what they met; ``told``
    (n_users + 1,), of whom there is anything but that; ``met`` (n_items, d), what an item says of who met
    it; ``items`` (n_items, d + 1) with their weights, zeros for those that train has not met.
    """

    arrays: Mapping[str, np.ndarray]
    n_parameters: Mapping[str, int]


def train(
    channel: FmRecall, interactions: Interactions, validate: Callable[[Trained], Mapping[str, float]]
) -> tuple[Trained, list[dict[str, float]]]:
    """Train the machine: what it is then, and a row an epoch with what ``validate`` says of it."""

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        rows = batch[ITEM_ROWS]
        users, items = network(batch[USER_ROWS], batch[HISTORY_IDS], batch[WEIGHTS], rows, batch)
        return sampled_softmax(users, items, rows, temperature=1.0, log_q=batch.get(LOG_Q))

    inputs = TowerInputs.fit(interactions, channel.attributes, channel.history_length)
    users = interactions.user_counts > 0
    spec = inputs.spec
    with reproducible(channel.seed, channel.threads):
        network = FactorizationMachine(
            interactions.n_users,
            interactions.n_items,
            spec.for_entity("user"),
            spec.for_entity("item"),
            channel.embedding_dim,
        )
    log = fit(
        network,
        Examples(channel, inputs, interactions),
        loss,
        epochs=channel.epochs,
        learning_rate=channel.learning_rate,
        regularization=channel.regularization,
        schedule=one_cycle,
        validate=lambda _: validate(_trained(network, inputs, users)),
        seed=channel.seed,
        threads=channel.threads,
        processes=channel.processes,
    )
    return _trained(network, inputs, users), log


class Examples(tower_training.Examples):
    """Batches as the towers have them, with who asks and what their last items count."""

    def __init__(self, channel: FmRecall, inputs: TowerInputs, train: Interactions) -> None:
        super().__init__(channel, inputs, inputs.of_requests, train, train.item_counts / len(train))
        self.decay = np.float32(channel.history_decay)

    def _batch(self, places: np.ndarray, rng: np.random.Generator) -> Batch:
        batch = super()._batch(places, rng)
        users = self.train.user_idx[self.rows[places]].astype(np.int64) + 1
        items = batch[HISTORY_IDS].numpy() - 1  # of rows from 1 on
        weights = np.zeros(items.shape, dtype=np.float32)
        history_weights(items, self.decay, weights)
        return {**batch, USER_ROWS: torch.from_numpy(users), WEIGHTS: torch.from_numpy(weights)}


def _trained(network: FactorizationMachine, inputs: TowerInputs, met: np.ndarray) -> Trained:
    """Vectors of all; ``met`` (n_users,) are the users with an id that has learned."""
    known = np.append(met, False)  # the last is the unknown
    rows = np.where(known, np.arange(1, len(known) + 1), PADDING)
    every = np.arange(len(inputs.rows))
    with torch.no_grad():
        users = network.user_vectors(torch.from_numpy(rows), _tensors(inputs.users))
        items = network.item_vectors(torch.from_numpy(inputs.rows), _tensors(inputs.of_items(every)))
        met_vectors = network.met(torch.from_numpy(inputs.rows))
    if inputs.users:
        known[:-1] = True
    unmet = inputs.rows[:, None] == PADDING
    arrays = {
        "users": users.numpy(),
        "told": known,
        "met": met_vectors.numpy(),
        "items": np.where(unmet, np.float32(0), items.numpy()),
    }
    return Trained(arrays, {name: each.numel() for name, each in network.named_parameters()})


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
