"""What the contract does not ask of the factorization machine."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.features.attributes import Attributes
from recsys.recall.fm import FmRecall
from recsys.recall.mf import MfRecall
from recsys.types import PAD, Interactions, Requests

SMALL = {"embedding_dim": 8, "batch_size": 64, "uniform_negatives": 16, "epochs": 2, "threads": 1}
WAYS = ("u2i", "i2i", "u2u")


@pytest.fixture(scope="module")
def past(dataset: Dataset) -> Interactions:
    return dataset.fold("global_time", "valid").past


@pytest.fixture(scope="module")
def attributes(dataset: Dataset) -> Attributes:
    return Attributes.of(dataset)


@pytest.fixture(scope="module")
def channel(attributes: Attributes, past: Interactions) -> FmRecall:
    return FmRecall(attributes=attributes, **SMALL).fit(past)


def ask(past: Interactions, users: np.ndarray | None = None) -> Requests:
    users = np.arange(past.n_users) if users is None else users
    return Requests.of(users, past, int(past.timestamp.max()) + 1)


def test_scores_are_products_of_the_vectors_and_the_items_weight(channel, past):
    found = channel.recall(ask(past), 5)
    rows, places = np.nonzero(found.items != PAD)
    users = channel.user_vectors(ask(past))[rows, :-1]
    items = found.items[rows, places]
    expected = (users * channel.item_vectors[items]).sum(axis=1) + channel.items_[items, -1]
    np.testing.assert_allclose(found.scores[rows, places], expected, atol=1e-5)


def test_a_user_is_what_is_told_and_the_mean_of_the_last_items(channel, past):
    user = int(past.user_idx[-1])
    last = past.item_idx[past.user_idx == user][::-1][: channel.history_length]
    weights = np.exp(-channel.history_decay * np.arange(len(last)))
    expected = channel.users_[user] + weights @ channel.met_[last] / weights.sum()
    got = channel.user_vectors(ask(past, np.array([user])))[0]
    np.testing.assert_allclose(got, np.append(expected, 1), atol=1e-5)


def test_who_is_known_by_attributes_alone_is_answered_and_the_unknown_is_not(channel, past):
    found = channel.recall(Requests.of(np.array([0, PAD]), past[:0], 0), 5)
    assert (found.items[0] != PAD).all()
    assert (found.items[1] == PAD).all()


def test_an_unknown_user_is_answered_by_what_they_met(channel, past):
    history = past.histories(np.array([0]))
    found = channel.recall(Requests(np.array([PAD]), np.array([0]), history), 5)
    assert (found.items != PAD).all()


def test_items_that_train_has_not_met_have_no_vector_and_are_not_recalled(channel, past):
    unmet = np.setdiff1d(np.arange(past.n_items), past.item_idx)
    assert len(unmet)
    assert not channel.items_[unmet].any()
    assert not np.isin(channel.recall(ask(past), past.n_items).items, unmet).any()


def test_it_learns(channel):
    assert channel.log_[1]["loss"] < channel.log_[0]["loss"]


def test_parameters_are_counted_by_part(channel, past):
    assert channel.n_parameters["users.weight"] == (past.n_users + 1) * 8
    assert channel.n_parameters["items.weight"] == (past.n_items + 1) * 9


@pytest.fixture(scope="module", params=[(kind, by) for kind in ("mf", "fm") for by in WAYS], ids="-".join)
def served(request, channel, past):
    """Mf and fm, each asked in each way."""
    kind, by = request.param
    before = channel if kind == "fm" else MfRecall(factors=8, iterations=3)
    return replace(before, by=by, k_similar=40, n_last=20).fit(past)


def test_each_way_answers_without_what_was_seen(served, past):
    found = served.recall(ask(past), 20)
    seen = past.user_idx.astype(np.int64) * past.n_items + past.item_idx
    keys = np.arange(past.n_users)[:, None] * past.n_items + found.items
    assert (found.items[np.diff(past.offsets) > 0, 0] != PAD).all()
    assert not np.isin(keys[found.items != PAD], seen).any()


def test_each_way_answers_one_as_among_many_and_after_loading(served, past, tmp_path):
    together = served.recall(ask(past), 20)
    served.save(tmp_path)
    loaded = type(served).load(tmp_path)
    for user in range(0, past.n_users, 7):
        alone = loaded.recall(ask(past, np.array([user])), 20)
        assert np.array_equal(alone.items[0], together.items[user])
        assert np.array_equal(alone.scores[0], together.scores[user])


def test_each_way_has_an_answer_of_its_own(channel, past):
    lists = {by: replace(channel, by=by, k_similar=10).fit(past).recall(ask(past), 20).items for by in WAYS}
    assert not np.array_equal(lists["u2i"], lists["i2i"])
    assert not np.array_equal(lists["i2i"], lists["u2u"])


def test_answering_loads_no_torch(channel, tmp_path):
    channel.save(tmp_path)
    code = (
        "import sys; from pathlib import Path; import numpy as np; from recsys.recall import channel;"
        "from recsys.types import Histories, Requests;"
        f"fm = channel('fm').load(Path({str(tmp_path)!r})); none = np.zeros(0, np.int32);"
        "history = Histories(none, none, none, np.zeros(1, int), np.zeros(1, int));"
        "fm.recall(Requests(np.array([0]), np.array([0]), history), 3);"
        "sys.exit(bool({'torch', 'sklearn', 'faiss', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
