"""What the contract does not ask of YouTube's network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.artifacts import ArtifactError
from recsys.data.dataset import Dataset
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.recall import youtube_dnn_training
from recsys.recall.tower_training import examples
from recsys.recall.youtube_dnn import EXAMPLE_AGE, YoutubeDnnRecall
from recsys.types import DAY, PAD, Interactions, Requests

SMALL = {"embedding_dim": 8, "history_length": 5, "batch_size": 64, "uniform_negatives": 16, "hidden": (12,)}


@pytest.fixture(scope="module")
def attributes(dataset: Dataset) -> Attributes:
    return Attributes.of(dataset)


@pytest.fixture(scope="module")
def past(dataset: Dataset) -> Interactions:
    return dataset.fold("global_time", "valid").past


@pytest.fixture(scope="module")
def channel(attributes: Attributes, past: Interactions) -> YoutubeDnnRecall:
    return YoutubeDnnRecall(attributes=attributes, **SMALL).fit(past)


def ask(past: Interactions, later: int = 1) -> Requests:
    users = np.append(np.arange(past.n_users), PAD)
    return Requests.of(users, past, int(past.timestamp.max()) + later)


@pytest.mark.parametrize("pooling", ["sum", "mean", "attention", "self_attention"])
def test_user_vectors_are_those_of_the_trained_network(attributes, past, pooling):
    fitted = YoutubeDnnRecall(attributes=attributes, pooling=pooling, **SMALL).fit(past)
    network = youtube_dnn_training.build(fitted).eval()
    requests = ask(past, later=-5 * DAY)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(fitted.weights_[name]))
        batch = {name: torch.from_numpy(each) for name, each in fitted.of_requests(requests).items()}
        history = batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE]
        vectors = network(*history, batch[EXAMPLE_AGE], batch)
    np.testing.assert_allclose(fitted.user_vectors(requests)[:-1], vectors.numpy()[:-1], atol=1e-5)


def test_answers_with_attributes_are_as_one_by_one(channel, past):
    requests = ask(past)
    batch = channel.recall(requests, 10)
    for row in range(len(requests)):
        one = channel.recall(requests[row : row + 1], 10)
        assert np.array_equal(one.items[0], batch.items[row])
        assert np.array_equal(one.scores[0], batch.scores[row])


def test_items_that_train_has_not_met_are_not_recalled(channel, past):
    unmet = np.setdiff1d(np.arange(past.n_items), past.item_idx)
    assert not channel.item_vectors[unmet].any()
    assert not np.isin(channel.recall(ask(past), past.n_items).items, unmet).any()


def test_an_example_is_as_old_as_it_lies_before_the_newest_event(channel, past):
    newest = int(past.timestamp.max())
    requests = replace(ask(past)[:3], now=np.array([newest - 364 * DAY, newest, newest + DAY]))
    np.testing.assert_allclose(channel.of_requests(requests)[EXAMPLE_AGE], [1, 0, 0])


def test_the_age_of_an_example_moves_the_answer(channel, past):
    inputs = channel.of_requests(ask(past))
    older = inputs | {EXAMPLE_AGE: np.ones_like(inputs[EXAMPLE_AGE])}
    assert (channel._vectors(inputs) != channel._vectors(older)).any(axis=1).all()


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_what_was_liked_better_counts_more(past, pooling):
    fitted = YoutubeDnnRecall(pooling=pooling, **{**SMALL, "epochs": 0}).fit(past)
    inputs = {HISTORY_IDS: np.array([[1, 2, 0]]), HISTORY_VALUE: np.array([[1, 0.25, 0]], dtype=np.float32)}
    weights = fitted._history_weights(inputs)[0, :, 0]
    assert weights[2] == 0
    assert weights[0] / weights[1] == pytest.approx(1.1 / 0.35)
    assert weights.sum() == pytest.approx(1.45 if pooling == "sum" else 1)


def test_ten_negatives_train_too_and_otherwise(attributes, past, channel):
    params = SMALL | {"loss": "sampled_negatives", "learning_rate": 0.01, "epochs": 3}
    other = YoutubeDnnRecall(attributes=attributes, **params).fit(past)
    assert other.log_[-1]["loss"] < other.log_[0]["loss"]
    assert not np.array_equal(other.item_vectors, channel.item_vectors)


def test_what_comes_after_an_example_has_no_part_in_it(channel, past):
    batches = examples(channel, channel.inputs_, channel.of_requests, past)
    for batch in map(batches(0), range(len(batches))):
        own = batch["item_rows"][: len(batch[HISTORY_IDS]), None]
        assert not (batch[HISTORY_IDS] == own).any()  # each item is met once, so never before itself
        assert (batch[HISTORY_AGE] >= 0).all()


def test_weights_of_another_network_are_refused(channel, tmp_path):
    channel.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        YoutubeDnnRecall.load(tmp_path)
