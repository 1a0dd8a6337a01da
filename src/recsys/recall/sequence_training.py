"""How the sequence channel learns; all of it that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from recsys.data.shards import Train
from recsys.features.gaps import NO_GAP, gap_buckets
from recsys.inference import Weights
from recsys.nn.losses import full_softmax
from recsys.nn.sequence import NextItem
from recsys.train import Batch, Batches, batches, fit, one_cycle, reproducible, weights_of
from recsys.types import Interactions

if TYPE_CHECKING:
    from recsys.recall.sequence import SequenceRecall

READ = ("ids", "values", "gaps", "between", "waits", "ages", "since", "inside")
"""What the network reads of a batch, in its order."""
ASKED, OWN = "asked", "own"


def train(
    channel: SequenceRecall,
    interactions: Train,
    validate: Callable[[Weights], Mapping[str, float]],
) -> tuple[Weights, list[dict[str, float]]]:
    """Train the network: its weights, and a row an epoch with what ``validate`` says of them."""
    met = torch.from_numpy(np.unique(channel.inputs_.rows[channel.inputs_.rows > 0]))
    places = torch.zeros(len(channel.inputs_.rows) + 1, dtype=torch.int64)
    places[met] = torch.arange(len(met))

    with reproducible(channel.seed, channel.threads):
        network = build(channel)

    def loss(_: nn.Module, batch: Batch) -> Tensor:
        users = network(*(batch[name] for name in READ))[batch[ASKED]]
        return full_softmax(users, network.ids(met), places[batch[OWN]])

    log = fit(
        network,
        windows(channel, interactions),
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


def build(channel: SequenceRecall) -> NextItem:
    """Make the network as the parameters say and with new weights, once ``channel.inputs_`` are fitted."""
    return NextItem(
        len(channel.inputs_.rows),
        channel.embedding_dim,
        channel.history_length,
        channel.blocks,
        channel.heads,
        channel.dropout,
    )


def windows(channel: SequenceRecall, train: Train) -> Batches:
    """`Windows` of ``train``, all of it in memory or a shard at a time."""

    def make(part: Interactions, key: tuple[int, ...]) -> Windows:
        return Windows(channel, part, key)

    return batches(train, make, lambda rows: _batches_in(channel, rows), channel.seed)


def _batches_in(channel: SequenceRecall, rows: int) -> int:
    """How many batches of windows so many interactions make."""
    return -(-_windows_in(channel, rows) // _at_once(channel))


def _windows_in(channel: SequenceRecall, rows: int) -> int:
    """Whole windows; one where there is less."""
    return max(rows // channel.history_length, min(rows, 1))


def _at_once(channel: SequenceRecall) -> int:
    """Windows in a batch of one process."""
    return max(channel.batch_size // channel.history_length // channel.processes, 1)


class Windows:
    """Batches of windows, cut from all users' histories one after the other, in an order drawn each epoch.

    A place may read those before it in the window that are the same user's: nothing is padding, and over the
    epochs histories are cut anywhere. ``key`` tells parts of what is learned from apart: it is drawn with.
    """

    def __init__(self, channel: SequenceRecall, train: Interactions, key: tuple[int, ...] = ()) -> None:
        self.channel = channel
        self.train = train
        self.rows = channel.inputs_.rows[train.item_idx]
        self.values = channel.inputs_.scaled(train.value)
        self.length = channel.history_length
        self.seed = (channel.seed, *key)

    def __len__(self) -> int:
        return _batches_in(self.channel, len(self.train))

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        seed, size = self.seed, _at_once(self.channel)
        rng = np.random.default_rng([*seed, epoch])
        stream = self._stream(rng)
        drawn = rng.permutation(_windows_in(self.channel, len(self.train)))

        def batch(number: int) -> Batch:
            windows = drawn[number * size : (number + 1) * size, None] * self.length + np.arange(self.length)
            made = self._batch(stream, windows, np.random.default_rng([*seed, epoch, number]))
            return {name: torch.from_numpy(each) for name, each in made.items()}

        return batch

    def _stream(self, rng: np.random.Generator) -> np.ndarray:
        """Rows of train, user after user in any order; each user's in the order of time, ties anew in any."""
        train = self.train
        users = rng.permutation(train.n_users)[train.user_idx]
        return np.lexsort((rng.random(len(train)), train.timestamp, users))

    def _batch(
        self, stream: np.ndarray, windows: np.ndarray, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        train, n = self.train, len(stream)
        rows = stream[windows % n]  # a train shorter than a window is read again
        users, moments = train.user_idx[rows], train.timestamp[rows]
        before = stream[(windows - 1) % n]
        first = (train.user_idx[before] != users) | (windows % n == 0)
        ahead = windows + 1 + self._held_back(windows.shape, rng)
        asked = stream[np.minimum(ahead, n - 1)]
        there = (train.user_idx[asked] == users) & (ahead < n)
        now = np.where(there, train.timestamp[asked], moments)
        places = np.arange(self.length)
        return {
            "ids": self.rows[rows],
            "values": self.values[rows],
            "gaps": np.where(first, NO_GAP, gap_buckets(moments - train.timestamp[before])),
            "between": gap_buckets(moments[:, :, None] - moments[:, None]),
            "waits": gap_buckets(now - moments),
            "ages": self.channel.inputs_.ages(now),
            "since": gap_buckets(now[:, :, None] - moments[:, None]),
            "inside": (users[:, :, None] == users[:, None]) & (places[:, None] >= places),
            ASKED: there,
            OWN: self.rows[asked][there],
        }

    def _held_back(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """How many items lie between a place and the one it is asked for."""
        held = np.exp(rng.random(shape) * np.log(self.channel.held_back_items + 1)).astype(np.int64)
        return np.asarray(held * (rng.random(shape) < self.channel.held_back))
