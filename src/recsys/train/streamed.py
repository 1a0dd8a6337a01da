"""Batches of what need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recsys.data.shards import Shards, Train
from recsys.train.loop import Batch, Batches
from recsys.types import Interactions

Made = Callable[[Interactions, tuple[int, ...]], Batches]
"""Makes batches of a part of what is learned from; its numbers (none: all of it) are drawn with, too."""


def batches(train: Train, made: Made, count: Callable[[int], int], seed: int) -> Batches:
    """What is ``made`` of ``train``, of `Shards` a shard at a time; ``count`` tells how many of n rows."""
    return made(train, ()) if isinstance(train, Interactions) else Streamed(train, made, count, seed)


class Streamed:
    """All batches of a shard, then those of the next, in an order drawn anew each epoch.

    One shard is in memory, and its rows are shuffled. Its users are there by chance, so that a batch has all
    kinds of them.
    """

    def __init__(self, shards: Shards, made: Made, count: Callable[[int], int], seed: int) -> None:
        self.shards = shards
        self.made = made
        self.seed = seed
        self.n = np.array([count(rows) for rows in shards.rows])

    def __len__(self) -> int:
        return int(self.n.sum())

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.n))
        ends = np.cumsum(self.n[order])
        opened: dict[int, Callable[[int], Batch]] = {}

        def batch(number: int) -> Batch:
            place = int(np.searchsorted(ends, number, side="right"))
            shard = int(order[place])
            if shard not in opened:
                opened.clear()  # before the next is read
                opened[shard] = self.made(self.shards[shard], (shard,))(epoch)
            return opened[shard](int(number - ends[place] + self.n[shard]))

        return batch
