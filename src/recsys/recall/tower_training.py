"""How the two towers learn; all of the channel that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from recsys.data.shards import Train
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.features.spec import FeatureSpec
from recsys.inference import Arrays, Weights
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.losses import sampled_softmax
from recsys.nn.pooling import HistoryPooling
from recsys.nn.towers import ItemTower, TwoTower, UserTower, id_embedding
from recsys.recall.tower_inputs import TowerInputs
from recsys.train import Batch, Batches, batches, fit, load_weights, one_cycle, reproducible, weights_of
from recsys.types import Histories, Interactions, Requests, WarmStart

if TYPE_CHECKING:
    from recsys.recall.mind import MindRecall
    from recsys.recall.two_tower import TwoTowerRecall
    from recsys.recall.youtube_dnn import YoutubeDnnRecall

ITEM_ROWS, LOG_Q = "item_rows", "log_q"
IDS = "user.ids.weight"
"""The one table of item ids, as torch names it: its row 0 stands for no item."""
Trained = tuple[Weights, np.ndarray]
"""A network's weights, and its item vectors (n_items, d), zeros for items that train has not met."""


def train(
    channel: TwoTowerRecall,
    interactions: Train,
    validate: Callable[[Trained], Mapping[str, float]],
    start: WarmStart[TwoTowerRecall] | None,
) -> tuple[Trained, list[dict[str, float]]]:
    """Train both towers: what they are then, and a row an epoch with what ``validate`` says of them."""

    def loss(network: nn.Module, batch: Batch) -> Tensor:
        rows = batch[ITEM_ROWS]
        users, items = network(batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE], rows, batch)
        return sampled_softmax(users, items, rows, channel.temperature, batch.get(LOG_Q))

    with reproducible(channel.seed, channel.threads):
        network = build(channel)
    if channel.id_vectors is not None:
        _start_from(network, channel.id_vectors)
    if start is not None:
        _take_over(network, start)
    rows = None if start is None else start.rows
    log = fit(
        network,
        examples(channel, channel.inputs_, channel.inputs_.of_requests, interactions, rows),
        loss,
        epochs=channel.epochs,
        learning_rate=channel.learning_rate,
        regularization=channel.regularization,
        schedule=one_cycle,
        validate=lambda _: validate(_trained(network, channel.inputs_)),
        seed=channel.seed,
        threads=channel.threads,
        processes=channel.processes,
    )
    return _trained(network, channel.inputs_), log


def learned(
    channel: MindRecall | YoutubeDnnRecall,
    network: nn.Module,
    read: Callable[[Requests], Arrays],
    interactions: Train,
    loss: Callable[[nn.Module, Batch], Tensor],
    validate: Callable[[Weights], Mapping[str, float]],
) -> tuple[Weights, list[dict[str, float]]]:
    """Fit ``network`` on all of ``interactions``: its weights, and a row an epoch with ``validate``'s."""
    log = fit(
        network,
        examples(channel, channel.inputs_, read, interactions),
        loss,
        epochs=channel.epochs,
        learning_rate=channel.learning_rate,
        regularization=channel.regularization,
        schedule=one_cycle,
        validate=lambda _: validate(weights_of(network)),
        seed=channel.seed,
        threads=channel.threads,
        processes=channel.processes,
    )
    return weights_of(network), log


def build(channel: TwoTowerRecall) -> TwoTower:
    """Make the towers as the parameters say and with new weights, once ``channel.inputs_`` are fitted."""
    d, spec = channel.embedding_dim, channel.inputs_.spec
    ids = id_embedding(channel.id_buckets or len(channel.inputs_.rows), d)
    pooling = HistoryPooling(d, channel.history_length, channel.pooling, channel.heads)
    item = _embedding(spec.for_entity("item"), d)
    user = _embedding(spec.for_entity("user", "request"), d, item)
    return TwoTower(
        UserTower(ids, pooling, user, channel.hidden, channel.dropout), ItemTower(ids, item, channel.hidden)
    )


def _start_from(network: TwoTower, id_vectors: np.ndarray) -> None:
    """Put ``id_vectors`` in the place of those drawn for the items; where they are zeros these stay."""
    weights = weights_of(network)
    drawn = weights[IDS][1:]
    if id_vectors.shape != drawn.shape:
        raise ValueError(f"id_vectors of shape {id_vectors.shape} where it must be {drawn.shape}")
    given = np.where(id_vectors.any(axis=1, keepdims=True), id_vectors, drawn).astype(np.float32)
    load_weights(network, {**weights, IDS: np.concatenate([weights[IDS][:1], given])})


def _take_over(network: TwoTower, start: WarmStart[TwoTowerRecall]) -> None:
    """Put in the weights that were learned before; new items keep what was drawn for them."""
    weights, drawn = start.model.weights_, weights_of(network)[IDS]
    items = start.moved(weights[IDS][1:], start.items, drawn[1:])
    load_weights(network, {**weights, IDS: np.concatenate([drawn[:1], items])})


def _embedding(
    spec: FeatureSpec, embedding_dim: int, shared: GroupedEmbedding | None = None
) -> GroupedEmbedding | None:
    return GroupedEmbedding(spec, embedding_dim, shared=shared) if spec.columns else None


def _trained(network: TwoTower, inputs: TowerInputs) -> Trained:
    met = np.flatnonzero(inputs.rows)
    vectors = np.zeros((len(inputs.rows), network.item.ids.embedding_dim), dtype=np.float32)
    with torch.no_grad():
        features = _tensors(inputs.of_items(met))
        vectors[met] = network.item(torch.from_numpy(inputs.rows[met]), features).numpy()
    return weights_of(network), vectors


class Draws(Protocol):
    """What a channel says of how `Examples` are drawn."""

    batch_size: int
    uniform_negatives: int
    logq_correction: bool
    held_back: float
    held_back_items: int
    processes: int
    seed: int


def examples(
    draws: Draws,
    inputs: TowerInputs,
    read: Callable[[Requests], Arrays],
    train: Train,
    rows: np.ndarray | None = None,
) -> Batches:
    """`Examples` of ``train``, all of it in memory or a shard at a time.

    ValueError where there shall be some ``rows`` of shards: a warm start goes on with what is in memory.
    """
    if rows is not None and not isinstance(train, Interactions):
        raise ValueError("a warm start goes on with what is in memory, not with shards")
    share = train.item_counts / len(train)

    def make(part: Interactions, key: tuple[int, ...]) -> Examples:
        return Examples(draws, inputs, read, part, share, rows, key)

    return batches(train, make, lambda n: _batches_in(draws, n), draws.seed)


def _batches_in(draws: Draws, n: int) -> int:
    """How many batches so many examples make."""
    return -(-n // _at_once(draws))


def _at_once(draws: Draws) -> int:
    """Examples in a batch of one process."""
    return -(-draws.batch_size // draws.processes)


class Examples:
    """Batches of train or ``rows`` of it, shuffled anew each epoch: requests and the item that each met.

    ``read`` encodes what the user's side reads of requests, ``inputs`` what the item's side reads. ``share``
    (n_items,) is each item's of all that is learned from, of which ``key`` tells parts apart: it is drawn
    with.
    """

    def __init__(
        self,
        draws: Draws,
        inputs: TowerInputs,
        read: Callable[[Requests], Arrays],
        train: Interactions,
        share: np.ndarray,
        rows: np.ndarray | None = None,
        key: tuple[int, ...] = (),
    ) -> None:
        self.draws = draws
        self.inputs = inputs
        self.read = read
        self.train = train
        self.rows = np.arange(len(train)) if rows is None else rows
        self.before = train.histories_before(self.rows)
        self.met = np.flatnonzero(inputs.rows)
        self.share = share
        self.seed = (draws.seed, *key)

    def __len__(self) -> int:
        return _batches_in(self.draws, len(self.rows))

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        seed, size = self.seed, _at_once(self.draws)
        order = np.random.default_rng([*seed, epoch]).permutation(len(self.rows))

        def batch(number: int) -> Batch:
            places = order[number * size : (number + 1) * size]
            return self._batch(places, np.random.default_rng([*seed, epoch, number]))

        return batch

    def _batch(self, places: np.ndarray, rng: np.random.Generator) -> Batch:
        draws, train, rows = self.draws, self.train, self.rows[places]
        history = self._held_back(self.before[places], rng)
        users = train.user_idx[rows].astype(np.int64)
        context = {name: told[rows] for name, told in train.context.items()}
        arrays = dict(self.read(Requests(users, train.timestamp[rows], history, context=context)))
        items = np.concatenate([train.item_idx[rows], rng.choice(self.met, draws.uniform_negatives)])
        arrays |= self.inputs.of_items(items)
        arrays[ITEM_ROWS] = self.inputs.rows[items]
        if draws.logq_correction:
            expected = len(rows) * self.share[items] + draws.uniform_negatives / len(self.met)
            arrays[LOG_Q] = np.log(expected).astype(np.float32)
        return _tensors(arrays)

    def _held_back(self, history: Histories, rng: np.random.Generator) -> Histories:
        n, most = len(history), self.draws.held_back_items
        held = np.exp(rng.random(n) * np.log(most + 1)).astype(np.int64)
        held *= rng.random(n) < self.draws.held_back
        return replace(history, ends=np.maximum(history.ends - held, history.starts))


def _tensors(arrays: Arrays) -> dict[str, Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
