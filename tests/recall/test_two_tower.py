"""What the contract does not ask of two towers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.artifacts import ArtifactError
from recsys.data.dataset import Dataset
from recsys.features.attributes import Attributes
from recsys.recall import tower_training
from recsys.recall.two_tower import TwoTowerRecall
from recsys.train import Batches
from recsys.types import DAY, PAD, Interactions, Requests, WarmStart

SMALL = {"embedding_dim": 8, "history_length": 5, "batch_size": 64, "uniform_negatives": 16, "threads": 1}


@pytest.fixture(scope="module")
def attributes(dataset: Dataset) -> Attributes:
    return Attributes.of(dataset)


@pytest.fixture(scope="module")
def past(dataset: Dataset) -> Interactions:
    return dataset.fold("global_time", "valid").past


@pytest.fixture(scope="module")
def channel(attributes: Attributes, past: Interactions) -> TwoTowerRecall:
    return TwoTowerRecall(attributes=attributes, held_back=0.5, held_back_items=3, **SMALL).fit(past)


def examples(channel: TwoTowerRecall, past: Interactions) -> Batches:
    return tower_training.examples(channel, channel.inputs_, channel.inputs_.of_requests, past)


def ask(past: Interactions, users: np.ndarray | None = None) -> Requests:
    users = np.arange(past.n_users) if users is None else users
    return Requests.of(users, past, int(past.timestamp.max()) + 1)


def test_items_that_train_has_not_met_have_no_vector_and_are_not_recalled(channel, past):
    unmet = np.setdiff1d(np.arange(past.n_items), past.item_idx)
    assert len(unmet)
    assert not channel.item_vectors[unmet].any()
    assert not np.isin(channel.recall(ask(past), past.n_items).items, unmet).any()


def test_scores_are_cosines_of_the_vectors(channel, past):
    requests = ask(past)
    found = channel.recall(requests, 5)
    rows, places = np.nonzero(found.items != PAD)
    users = channel.user_vectors(requests)[rows]
    expected = (users * channel.item_vectors[found.items[rows, places]]).sum(axis=1)
    np.testing.assert_allclose(found.scores[rows, places], expected, atol=1e-5)


def test_a_known_user_without_history_is_answered_from_attributes(channel, past):
    found = channel.recall(Requests.of(np.array([0, PAD]), past[:0], int(past.timestamp.max())), 5)
    assert (found.items[0] != PAD).all()
    assert (found.items[1] == PAD).all()


def test_answers_with_attributes_are_as_one_by_one(channel, past):
    batch = channel.recall(ask(past), 10)
    for user in range(past.n_users):
        one = channel.recall(ask(past, np.array([user])), 10)
        assert np.array_equal(one.items[0], batch.items[user])
        assert np.array_equal(one.scores[0], batch.scores[user])


def test_attributes_survive_saving(channel, past, tmp_path):
    channel.save(tmp_path)
    loaded = TwoTowerRecall.load(tmp_path)
    assert np.array_equal(loaded.user_vectors(ask(past)), channel.user_vectors(ask(past)))
    assert np.array_equal(loaded.item_vectors, channel.item_vectors)


def test_weights_of_another_network_are_refused(channel, tmp_path):
    channel.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        TwoTowerRecall.load(tmp_path)


def test_the_same_seed_gives_the_same_vectors_and_another_others(attributes, past, channel):
    params = {"attributes": attributes, "held_back": 0.5, "held_back_items": 3, **SMALL}
    assert np.array_equal(TwoTowerRecall(**params).fit(past).item_vectors, channel.item_vectors)
    assert not np.array_equal(TwoTowerRecall(seed=1, **params).fit(past).item_vectors, channel.item_vectors)


def test_two_processes_learn_the_same_each_time(attributes, past):
    params = {"attributes": attributes, "processes": 2, **SMALL}
    one, again = (TwoTowerRecall(**params).fit(past) for _ in range(2))
    assert np.array_equal(one.item_vectors, again.item_vectors)
    assert one.log_ == again.log_


def test_what_comes_after_an_example_has_no_part_in_it(channel, past):
    # One user: whatever the last items are, all earlier examples see the same histories.
    batches = examples(channel, past)
    for batch in map(batches(0), range(len(batches))):
        own = batch["item_rows"][: len(batch["history_ids"]), None]
        assert not (batch["history_ids"] == own).any()  # each item is met once, so never before itself
        assert (batch["history_age"] >= 0).all()


@pytest.mark.parametrize("pooling", ["mean", "weighted", "attention", "self_attention"])
def test_user_vectors_are_those_of_the_trained_network(attributes, past, pooling):
    fitted = TwoTowerRecall(attributes=attributes, pooling=pooling, **SMALL).fit(past)
    network = tower_training.build(fitted).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(fitted.weights_[name]))
        asked = fitted.inputs_.of_requests(ask(past))
        batch = {name: torch.from_numpy(values) for name, values in asked.items()}
        vectors = network.user(batch["history_ids"], batch["history_age"], batch["history_value"], batch)
    np.testing.assert_allclose(fitted.user_vectors(ask(past)), vectors.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_an_index_finds_what_the_exact_search_does(past, kind, tmp_path):
    indexed = TwoTowerRecall(ann=kind, **SMALL).fit(past)
    indexed.save(tmp_path)
    requests = ask(past, np.append(np.arange(past.n_users), PAD))
    found = TwoTowerRecall.load(tmp_path).recall(requests, 5)
    assert np.array_equal(found.items, indexed.recall(requests, 5).items)
    exact = replace(indexed, ann="flat").fit(past).recall(requests, 5)
    assert not (found.items[exact.items == PAD] != PAD).any()
    among = (found.items[:, :, None] == exact.items[:, None]).any(axis=1)[exact.items != PAD]
    assert among.mean() > 0.9


def test_loss_is_logged_each_epoch_with_what_validate_says(past):
    channel = TwoTowerRecall(epochs=2, **SMALL)
    channel.fit(past, lambda fitted: {"width": float(fitted.recall(ask(past), 3).items.shape[1])})
    assert [row["width"] for row in channel.log_] == [3.0, 3.0]
    assert channel.log_[1]["loss"] < channel.log_[0]["loss"]


def test_held_back_items_leave_the_history_newest_first():
    n = 40
    train = Interactions(
        user_idx=np.zeros(n, np.int32),
        item_idx=np.arange(n, dtype=np.int32),
        timestamp=np.arange(n, dtype=np.int64) * DAY,
        value=np.ones(n, np.float32),
        labels={},
        n_users=1,
        n_items=n,
    )
    channel = TwoTowerRecall(held_back=1.0, held_back_items=10, **{**SMALL, "history_length": 1})
    gaps: set[int] = set()
    batches = examples(channel.fit(train), train)
    for batch in map(batches(0), range(len(batches))):
        newest = batch["history_ids"][:, 0]
        known = newest > 0
        gaps.update((batch["item_rows"][: len(newest)] - newest)[known].tolist())
    assert min(gaps) == 2
    assert 5 < max(gaps) <= 11


def test_weights_of_a_history_add_up_to_one_and_padding_has_none(channel, past):
    requests = ask(past, np.append(np.arange(past.n_users), PAD))
    weights = channel.history_weights(requests)
    lengths = requests.history.lengths
    assert weights.shape == (len(requests), channel.history_length, channel.heads)
    np.testing.assert_allclose(weights.sum(axis=1), np.repeat(lengths > 0, 3).reshape(-1, 3), atol=1e-6)
    assert not weights[np.arange(channel.history_length) >= lengths[:, None]].any()


def test_id_vectors_are_where_items_start(attributes, past):
    given = np.random.default_rng(0).normal(size=(past.n_items, 8)).astype(np.float32)
    given[:3] = 0
    settings = {**SMALL, "attributes": attributes, "epochs": 1}
    drawn, told = (
        TwoTowerRecall(**settings, learning_rate=1e-9, id_vectors=vectors).fit(past)
        for vectors in (None, given)
    )
    started, chance = (each.weights_[tower_training.IDS] for each in (told, drawn))
    np.testing.assert_allclose(started[4:], given[3:], atol=1e-5)
    np.testing.assert_allclose(started[:4], chance[:4], atol=1e-5)


def test_id_vectors_of_another_width_are_refused(past):
    with pytest.raises(ValueError, match=r"id_vectors of shape \(\d+, 3\)"):
        TwoTowerRecall(**SMALL, id_vectors=np.ones((past.n_items, 3))).fit(past)


def test_items_share_the_rows_of_their_buckets(attributes, past, tmp_path):
    channel = TwoTowerRecall(attributes=attributes, id_buckets=7, **SMALL).fit(past)
    assert channel.weights_[tower_training.IDS].shape == (8, 8)
    assert set(channel.inputs_.rows) <= set(range(8))
    one, other = np.flatnonzero(channel.inputs_.rows == 1)[:2]
    assert not np.array_equal(channel.item_vectors[one], channel.item_vectors[other])
    channel.save(tmp_path)
    loaded = TwoTowerRecall.load(tmp_path)
    found = [each.recall(ask(past), 5).items for each in (channel, loaded)]
    assert np.array_equal(*found)


def test_shared_rows_start_from_nothing_given(past):
    with pytest.raises(ValueError, match="share rows"):
        TwoTowerRecall(id_buckets=7, id_vectors=np.ones((past.n_items, 64)))
    channel = TwoTowerRecall(id_buckets=7, **SMALL)
    with pytest.raises(ValueError, match="gone on from"):
        channel.fit(past, start=WarmStart(channel, np.zeros(0), np.zeros(0), np.zeros(0)))
