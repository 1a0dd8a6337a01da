"""Batches of shards, of which one is in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from weakref import ref

import numpy as np
import pytest
import torch

from recsys.data.shards import Shards
from recsys.recall.sequence import SequenceRecall
from recsys.recall.sequence_training import Windows
from recsys.recall.tower_training import Examples
from recsys.recall.two_tower import TwoTowerRecall
from recsys.train import Batch, Batches, batches
from recsys.types import Interactions, WarmStart

SIZE = 4
TOWERS = TwoTowerRecall(embedding_dim=8, batch_size=64, epochs=1)


@pytest.fixture(scope="module")
def train() -> Interactions:
    n_users, n_items = 20, 6
    users = np.random.default_rng(0).integers(n_users, size=200).astype(np.int32)
    return Interactions(
        user_idx=users,
        item_idx=(users % n_items).astype(np.int32),
        timestamp=np.arange(len(users)),
        value=np.ones(len(users), dtype=np.float32),
        labels={},
        n_users=n_users,
        n_items=n_items,
    )


@pytest.fixture(scope="module")
def shards(train: Interactions, tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return Shards.write([train], tmp_path_factory.mktemp("train") / "shards", 3)


class Rows:
    """Batches of rows that lie together."""

    def __init__(self, part: Interactions) -> None:
        self.part = part

    def __len__(self) -> int:
        return count(len(self.part))

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        return lambda number: {"rows": torch.from_numpy(self.part.timestamp[number * SIZE :][:SIZE])}


def count(rows: int) -> int:
    return -(-rows // SIZE)


def in_rows(train: Interactions | Shards) -> Batches:
    return batches(train, lambda part, key: Rows(part), count, seed=0)


def epoch_of(every: Batches, epoch: int) -> list[tuple[int, ...]]:
    return [tuple(batch["rows"].tolist()) for batch in map(every(epoch), range(len(every)))]


def test_an_epoch_has_every_row_once_a_shard_after_the_other(shards):
    met = epoch_of(in_rows(shards), 0)
    assert Counter(row for batch in met for row in batch) == Counter(range(len(shards)))
    of = {row: shard for shard in range(3) for row in shards.read(shard).timestamp.tolist()}
    turns = [of[batch[0]] for batch in met]
    assert sum(one != other for one, other in pairwise(turns)) == 2


def test_shards_come_in_another_order_in_another_epoch(shards):
    assert len({epoch_of(in_rows(shards), epoch)[0] for epoch in range(20)}) == 3


def test_a_batch_is_the_same_whichever_was_asked_before(shards):
    every = in_rows(shards)
    expected = epoch_of(every, 1)
    batch = every(1)
    for number in np.random.default_rng(0).permutation(len(every)):
        assert tuple(batch(int(number))["rows"].tolist()) == expected[number]


def test_one_shard_is_in_memory(shards):
    read: list[ref[Interactions]] = []

    def made(part: Interactions, key: tuple[int, ...]) -> Batches:
        read.append(ref(part))
        assert sum(each() is not None for each in read) == 1
        return Rows(part)

    epoch_of(batches(shards, made, count, seed=0), 0)
    assert len(read) == 3


def test_a_batch_of_another_shard_is_drawn_anew(train):
    towers = TOWERS.fit(train)
    share = train.item_counts / len(train)
    two = [
        Examples(towers, towers.inputs_, towers.inputs_.of_requests, train, share, key=(k,)) for k in (0, 1)
    ]
    assert not torch.equal(*(each(0)(0)["item_rows"] for each in two))
    sequence = SequenceRecall(embedding_dim=8, history_length=8, epochs=0).fit(train)
    assert not torch.equal(*(Windows(sequence, train, (k,))(0)(0)["ids"] for k in (0, 1)))


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_training_from_shards_goes_on_to_the_same_end(
    processes, shards, tmp_path, monkeypatch
):
    def towers(stopped: bool) -> TwoTowerRecall:
        rows: list[int] = []

        def validate(_: TwoTowerRecall) -> dict[str, float]:
            rows.append(0)
            if stopped and len(rows) == 2:
                raise StoppedError
            return {}

        params = {"embedding_dim": 8, "batch_size": 32, "epochs": 3, "processes": processes}
        return TwoTowerRecall(**params).fit(shards, validate)

    whole = towers(stopped=False)
    monkeypatch.setenv("RECSYS_CHECKPOINTS", str(tmp_path))
    with pytest.raises(StoppedError):
        towers(stopped=True)
    again = towers(stopped=False)
    assert np.array_equal(again.item_vectors, whole.item_vectors)
    assert again.log_ == whole.log_


def test_a_warm_start_needs_what_it_goes_on_with_in_memory(train, shards):
    rows = np.arange(len(train))
    start = WarmStart(TOWERS.fit(train), np.arange(train.n_users), np.arange(train.n_items), rows)
    with pytest.raises(ValueError, match="not with shards"):
        TOWERS.fit(shards, start=start)
