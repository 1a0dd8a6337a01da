"""How MIND learns; all of the channel that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from recsys.data.shards import Train
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.inference import Weights
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.losses import sampled_softmax
from recsys.nn.mind import Mind, label_aware
from recsys.recall.tower_training import ITEM_ROWS, LOG_Q, learned
from recsys.train import Batch, reproducible

if TYPE_CHECKING:
    from recsys.recall.mind import MindRecall


def train(
    channel: MindRecall,
    interactions: Train,
    validate: Callable[[Weights], Mapping[str, float]],
) -> tuple[Weights, list[dict[str, float]]]:
    """Train the network: its weights, and a row an epoch with what ``validate`` says of them."""
    with reproducible(channel.seed, channel.threads):
        network = build(channel)

    def loss(_: nn.Module, batch: Batch) -> Tensor:
        rows = batch[ITEM_ROWS]
        items = network.items(rows)
        interests, has = network(batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE], batch)
        users = label_aware(interests, has, items[: len(interests)], channel.sharpness)
        return sampled_softmax(users, items, rows, channel.temperature, batch.get(LOG_Q))

    return learned(channel, network, channel.inputs_.of_requests, interactions, loss, validate)


def build(channel: MindRecall) -> Mind:
    """Make the network as the parameters say and with new weights, once ``channel.inputs_`` are fitted."""
    d, spec = channel.embedding_dim, channel.inputs_.spec.for_entity("user", "request")
    return Mind(
        n_items=len(channel.inputs_.rows),
        embedding_dim=d,
        length=channel.history_length,
        interests=channel.interests,
        iterations=channel.iterations,
        attributes=GroupedEmbedding(spec, d) if spec.columns else None,
        hidden=channel.hidden,
        dropout=channel.dropout,
    )
