"""How YouTube's network learns; all of the channel that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from recsys.data.shards import Train
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.inference import Weights
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.losses import sampled_negatives, sampled_softmax
from recsys.nn.pooling import HistoryPooling
from recsys.nn.youtube_dnn import RatedPooling, YoutubeDnn
from recsys.recall.tower_training import ITEM_ROWS, LOG_Q, learned
from recsys.recall.youtube_dnn import EXAMPLE_AGE, VALUE_FLOOR
from recsys.train import Batch, reproducible

if TYPE_CHECKING:
    from recsys.recall.youtube_dnn import YoutubeDnnRecall


def train(
    channel: YoutubeDnnRecall,
    interactions: Train,
    validate: Callable[[Weights], Mapping[str, float]],
) -> tuple[Weights, list[dict[str, float]]]:
    """Train the network: its weights, and a row an epoch with what ``validate`` says of them."""
    with reproducible(channel.seed, channel.threads):
        network = build(channel)

    def loss(_: nn.Module, batch: Batch) -> Tensor:
        history = batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE]
        rows = batch[ITEM_ROWS]
        users, items = network(*history, batch[EXAMPLE_AGE], batch), network.items(rows)
        if channel.loss == "sampled_negatives":
            return sampled_negatives(users, items, rows, channel.temperature, channel.n_negatives)
        return sampled_softmax(users, items, rows, channel.temperature, batch.get(LOG_Q))

    return learned(channel, network, channel.of_requests, interactions, loss, validate)


def build(channel: YoutubeDnnRecall) -> YoutubeDnn:
    """Make the network as the parameters say and with new weights, once ``channel.inputs_`` are fitted."""
    d, spec = channel.embedding_dim, channel.inputs_.spec.for_entity("user", "request")
    pooling = (
        RatedPooling(d, channel.pooling, float(VALUE_FLOOR))
        if channel.pooling == "sum" or channel.pooling == "mean"
        else HistoryPooling(d, channel.history_length, channel.pooling, channel.heads)
    )
    attributes = GroupedEmbedding(spec, d) if spec.columns else None
    return YoutubeDnn(len(channel.inputs_.rows), d, pooling, attributes, channel.hidden, channel.dropout)
