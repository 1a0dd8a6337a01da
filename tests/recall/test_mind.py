"""What the contract does not ask of several interests."""

import numpy as np
import pytest
import torch

from recsys.artifacts import ArtifactError
from recsys.data.dataset import Dataset
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.recall import mind_training
from recsys.recall.mind import MindRecall
from recsys.types import PAD, Interactions, Requests

SMALL = {"embedding_dim": 8, "history_length": 20, "batch_size": 64, "uniform_negatives": 16, "hidden": (12,)}


@pytest.fixture(scope="module")
def past(dataset: Dataset) -> Interactions:
    return dataset.fold("global_time", "valid").past


@pytest.fixture(scope="module")
def channel(dataset: Dataset, past: Interactions) -> MindRecall:
    return MindRecall(attributes=Attributes.of(dataset), **SMALL).fit(past)


def ask(past: Interactions) -> Requests:
    return Requests.of(np.append(np.arange(past.n_users), PAD), past, int(past.timestamp.max()) + 1)


def test_interests_are_those_of_the_trained_network(channel, past):
    network = mind_training.build(channel).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(channel.weights_[name]))
        batch = {
            name: torch.from_numpy(each) for name, each in channel.inputs_.of_requests(ask(past)).items()
        }
        expected, has = network(batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE], batch)
    interests, n = channel.interests_of(ask(past))
    assert np.array_equal(n[:-1], has.sum(dim=1).numpy()[:-1])
    inside = np.arange(channel.interests) < n[:, None]
    np.testing.assert_allclose(interests[inside], expected.numpy()[inside], atol=1e-5)


def test_a_longer_history_has_more_interests(channel, past):
    lengths = np.minimum(ask(past).history.lengths, SMALL["history_length"])
    _, n = channel.interests_of(ask(past))
    assert n[-1] == 0  # of whom nothing is known
    assert n[lengths == 3].tolist() == [1] * (lengths == 3).sum()
    assert (n[lengths >= 16] == 4).all()
    assert (lengths >= 16).any()


def test_a_score_is_the_cosine_to_the_nearest_interest(channel, past):
    interests, n = channel.interests_of(ask(past))
    found = channel.recall(ask(past), 5)
    rows, places = np.nonzero(found.items != PAD)
    cosines = np.einsum("nkd,nd->nk", interests[rows], channel.item_vectors[found.items[rows, places]])
    cosines[np.arange(channel.interests) >= n[rows, None]] = -1
    np.testing.assert_allclose(found.scores[rows, places], cosines.max(axis=1), atol=1e-5)


def test_interests_of_a_user_differ(channel, past):
    interests, n = channel.interests_of(ask(past))
    two = interests[n >= 2]
    assert len(two)
    assert (np.abs(two[:, 0] - two[:, 1]).max(axis=1) > 1e-3).all()


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


def test_the_loss_falls(past):
    log = MindRecall(**{**SMALL, "epochs": 3, "learning_rate": 0.01}).fit(past).log_
    assert log[-1]["loss"] < log[0]["loss"]


def test_weights_of_another_network_are_refused(channel, tmp_path):
    channel.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        MindRecall.load(tmp_path)
