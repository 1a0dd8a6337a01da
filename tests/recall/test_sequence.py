"""What the contract does not ask of the sequence channel."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.artifacts import ArtifactError
from recsys.data.dataset import Dataset
from recsys.features.gaps import NO_GAP
from recsys.recall import sequence_training
from recsys.recall.sequence import SequenceRecall
from recsys.types import DAY, PAD, Interactions, Requests

SMALL = {"embedding_dim": 8, "history_length": 6, "batch_size": 60, "epochs": 2}


@pytest.fixture(scope="module")
def past(dataset: Dataset) -> Interactions:
    return dataset.fold("global_time", "valid").past


@pytest.fixture(scope="module")
def channel(past: Interactions) -> SequenceRecall:
    return SequenceRecall(held_back=0.3, held_back_items=5, **SMALL).fit(past)


def ask(past: Interactions, later: int = 1) -> Requests:
    return Requests.of(np.arange(past.n_users), past, int(past.timestamp.max()) + later)


def line(n: int, **changed) -> Interactions:
    """One user who meets the items 0, 1, 2 ..., one a day."""
    told = {
        "user_idx": np.zeros(n, np.int32),
        "item_idx": np.arange(n, dtype=np.int32),
        "timestamp": np.arange(n, dtype=np.int64) * DAY,
        "value": np.ones(n, np.float32),
        "labels": {},
        "n_users": 1,
        "n_items": n,
    }
    return Interactions(**{**told, **changed})


def windows(past: Interactions, **params):
    """All batches of an epoch, in numpy, with who and what was asked of each place."""
    channel = SequenceRecall(**{**SMALL, "epochs": 0, **params}).fit(past)
    batches = sequence_training.Windows(channel, past)
    for batch in map(batches(0), range(len(batches))):
        yield {name: each.numpy() for name, each in batch.items()}


def test_vectors_are_those_of_the_trained_network(channel, past):
    network = sequence_training.build(channel).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(channel.weights_[name]))
    requests, vectors = ask(past, later=3 * DAY), channel.user_vectors(ask(past, later=3 * DAY))
    for user in np.flatnonzero(requests.history.lengths):
        told = channel.inputs_.of_request(requests, user)
        length = len(told.ids)
        since = np.zeros((length, length), dtype=np.int64)
        since[-1] = told.since
        batch = {
            "ids": told.ids,
            "values": told.values,
            "gaps": told.gaps,
            "between": told.between,
            "waits": np.full(length, told.since[-1]),
            "ages": np.full(length, told.age, dtype=np.float32),
            "since": since,
            "inside": np.tri(length, dtype=bool),
        }
        with torch.no_grad():
            expected = network(**{name: torch.from_numpy(each)[None] for name, each in batch.items()})[0, -1]
        np.testing.assert_allclose(vectors[user], expected.numpy(), atol=1e-5)


def test_an_item_met_later_is_never_read(channel, past):
    for batch in windows(past):
        own = iter(batch["own"])
        for row, place in np.argwhere(batch["asked"]):
            read = batch["ids"][row][batch["inside"][row, place]]
            assert next(own) not in read  # each item is met once, so never before itself


def test_each_place_is_asked_for_the_next_item():
    (batch,) = windows(line(6))
    assert batch["asked"].tolist() == [[True] * 5 + [False]]
    assert (batch["own"] - batch["ids"][0, :5]).tolist() == [1] * 5
    assert batch["gaps"][0, 0] == NO_GAP
    assert len(set(batch["gaps"][0, 1:])) == 1


def test_items_held_back_lie_between_a_place_and_what_it_is_asked_for():
    ahead = [
        batch["own"] - np.broadcast_to(batch["ids"], batch["asked"].shape)[batch["asked"]]
        for batch in windows(line(600), held_back=1.0, held_back_items=10)
    ]
    assert np.concatenate(ahead).min() == 2
    assert 5 < np.concatenate(ahead).max() <= 11


def test_a_moment_s_items_come_in_another_order_each_epoch():
    past = line(6, timestamp=np.zeros(6, np.int64))
    channel = SequenceRecall(**SMALL).fit(past)
    batches = sequence_training.Windows(channel, past)
    orders = {tuple(batches(epoch)(0)["ids"][0].tolist()) for epoch in range(5)}
    assert len(orders) > 1


def test_every_interaction_stands_in_one_window(past):
    stood = np.concatenate([batch["ids"].ravel() for batch in windows(past)])
    assert len(stood) == len(past) // SMALL["history_length"] * SMALL["history_length"]


def test_items_that_train_has_not_met_are_neither_read_nor_recalled(channel, past):
    unmet = np.setdiff1d(np.arange(past.n_items), past.item_idx)
    assert not channel.item_vectors[unmet].any()
    assert not np.isin(channel.recall(ask(past), past.n_items).items, unmet).any()
    strange = line(1, item_idx=unmet[:1].astype(np.int32), n_items=past.n_items)
    assert (channel.recall(Requests.of(np.zeros(1), strange, DAY), 5).items == PAD).all()


def test_the_moment_of_asking_moves_the_answer(channel, past):
    now, later = channel.user_vectors(ask(past)), channel.user_vectors(ask(past, later=90 * DAY))
    assert (np.abs(now - later).max(axis=1) > 0).mean() > 0.9


def test_only_the_last_items_are_read(channel, past):
    requests = ask(past)
    longest = int(np.argmax(requests.history.lengths))
    history = requests.history
    cut = history.starts.copy()
    cut[longest] = history.ends[longest] - SMALL["history_length"] - 1  # one more tells the first gap
    short = Requests(
        requests.users,
        requests.now,
        type(history)(history.items, history.timestamps, history.values, cut, history.ends),
    )
    assert np.array_equal(channel.user_vectors(short)[longest], channel.user_vectors(requests)[longest])


@pytest.mark.parametrize("processes", [1, 2])
def test_what_follows_what_is_learned(processes):
    train = line(600, item_idx=(np.arange(600) % 12).astype(np.int32), n_items=12)
    channel = SequenceRecall(
        **{**SMALL, "epochs": 40, "learning_rate": 0.01, "dropout": 0.0, "processes": processes}
    )
    channel.fit(train)
    past = line(600)[:0]
    for last in range(12):
        before, days = np.arange(last - 5, last + 1) % 12, np.arange(6) * DAY
        history = past.histories(np.zeros(1, np.int64)).then(before, days, np.ones(6))
        requests = Requests(np.zeros(1, np.int64), np.array([6 * DAY]), history)
        assert channel.recall(requests, 1).items[0, 0] == (last + 1) % 12


def test_weights_of_another_network_are_refused(channel, tmp_path):
    channel.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        SequenceRecall.load(tmp_path)


def test_loss_is_logged_each_epoch_with_what_validate_says(past):
    channel = SequenceRecall(**{**SMALL, "epochs": 3, "learning_rate": 0.01})
    channel.fit(past, lambda fitted: {"width": float(fitted.recall(ask(past), 3).items.shape[1])})
    assert [row["width"] for row in channel.log_] == [3.0, 3.0, 3.0]
    assert channel.log_[-1]["loss"] < channel.log_[0]["loss"]


def test_an_index_finds_what_is_nearest_and_is_kept(past, tmp_path):
    indexed = SequenceRecall(**SMALL, ann="hnsw").fit(past)
    indexed.save(tmp_path)
    found, exact = indexed.recall(ask(past), 5), replace(indexed, ann="flat").fit(past).recall(ask(past), 5)
    assert (found.items[:, :, None] == exact.items[:, None]).any(axis=1)[exact.items != PAD].mean() > 0.9
    assert (SequenceRecall.load(tmp_path).recall(ask(past), 5).items == found.items).all()


def test_the_same_seed_gives_the_same_vectors_and_another_others(channel, past):
    params = {"held_back": 0.3, "held_back_items": 5, **SMALL}
    assert np.array_equal(SequenceRecall(**params).fit(past).item_vectors, channel.item_vectors)
    assert not np.array_equal(SequenceRecall(seed=1, **params).fit(past).item_vectors, channel.item_vectors)
