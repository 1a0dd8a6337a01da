"""Batches of what need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recsys.data.shards import Shards, Train
from recsys.train.loop import Batch, Batches
from recsys.types import Interactions

Make = Callable[[Interactions, tuple[int, ...]], Batches]
"""Makes batches of a part of what is learned from, and of its key: a shard's number, or () for all of it.

What is drawn for them is drawn with the key, too.
"""


def batches(train: Train, make: Make, count: Callable[[int], int], seed: int) -> Batches:
    """Batches of ``train``, of `Shards` a shard at a time; ``count`` tells how many there are of n rows."""
    return make(train, ()) if isinstance(train, Interactions) else Streamed(train, make, count, seed)


class Streamed:
    """All batches of a shard, then those of the next, in an order drawn anew each epoch.

    Each process has one shard in memory, and its rows are shuffled. Its users are there by chance, so that a
    batch has all kinds of them.
    """

    def __init__(self, shards: Shards, make: Make, count: Callable[[int], int], seed: int) -> None:
        self.shards = shards
        self.make = make
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
                opened[shard] = self.make(self.shards.read(shard), (shard,))(epoch)
            return opened[shard](int(number - ends[place] + self.n[shard]))

        return batch
