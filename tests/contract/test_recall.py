"""What holds for every recall channel: a new one inherits these tests with its line in the registry."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.catalogue import Catalogue
from recsys.data.shards import sharded
from recsys.metrics import hits_of, recall_at_k
from recsys.recall import CHANNELS, channel
from recsys.types import DAY, PAD, Interactions, Recall, Requests
from recsys.vocabulary import Vocabulary

N_USERS, N_ITEMS, STRANGER = 60, 40, 59
"""The last user has no history."""
SMALL: dict[str, dict[str, object]] = {
    "mf": {"factors": 8},
    "fm": {"embedding_dim": 16, "batch_size": 64, "epochs": 8, "learning_rate": 0.02, "threads": 1},
    "two_tower": {"embedding_dim": 16, "batch_size": 64, "epochs": 8, "learning_rate": 0.01, "threads": 1},
    "cluster": {"n_clusters": 4, "n_probe": 2},
    "sequence": {"embedding_dim": 16, "history_length": 8, "batch_size": 128, "learning_rate": 0.01},
    "youtube_dnn": {"embedding_dim": 16, "batch_size": 64, "epochs": 8, "learning_rate": 0.01},
    "mind": {"embedding_dim": 16, "batch_size": 64, "epochs": 8, "learning_rate": 0.01},
    "item2vec": {"embedding_dim": 16, "epochs": 10},
    "graph": {"embedding_dim": 16},
    "content": {"text_dim": 4},
    "fresh": {"days": 97, "n_similar": 3},  # more than half of the items are first met after the third day
}
"""Hyperparameters of channels whose defaults are meant for more data."""
FLOOR = {"popular": 0.15}
"""Least recall_at_10 of 40 items, half of which are of the user's kind; 0.3 where not named."""


def two_tastes(seed: int = 0) -> Interactions:
    """Even users meet the first half of the items, odd ones the second."""
    rng = np.random.default_rng(seed)
    half = N_ITEMS // 2
    items = np.concatenate([rng.permutation(half)[:12] + half * (user % 2) for user in range(STRANGER)])
    users = np.repeat(np.arange(STRANGER), 12)
    order = rng.permutation(len(users))
    return Interactions(
        user_idx=users[order].astype(np.int32),
        item_idx=items[order].astype(np.int32),
        timestamp=np.sort(rng.integers(0, 100 * DAY, len(users))),
        value=rng.integers(1, 6, len(users)).astype(np.float32),
        labels={},
        n_users=N_USERS,
        n_items=N_ITEMS,
    )


def vectors_of_two_tastes(n_items: int) -> np.ndarray:
    """Item vectors as another channel would leave them, for the one that needs them."""
    vectors = np.random.default_rng(0).normal(size=(n_items, 8))
    vectors[:, 0] += np.where(np.arange(n_items) < N_ITEMS // 2, 3, -3)
    return vectors.astype(np.float32)


def catalogue_of_two_tastes(n_items: int) -> Catalogue:
    """Titles that say which half an item is of, and for some of them a category."""
    tastes = ["comedy" if item < N_ITEMS // 2 else "horror" for item in range(n_items)]
    return Catalogue(
        users=Vocabulary.of([]),
        items=Vocabulary.of([f"i{item}" for item in range(n_items)]),
        titles=tuple(f"A {taste} of {item % 5} ({1990 + item % 7})" for item, taste in enumerate(tastes)),
        categories=tuple((taste,) if item % 3 else () for item, taste in enumerate(tastes)),
    )


TRAIN = two_tastes()
RETURNING = replace(TRAIN, seen_return=True)
NOW = int(TRAIN.timestamp.max()) + 1
_fitted: dict[str, Recall] = {}


def new(name: str, n_items: int = N_ITEMS) -> Recall:
    params = dict(SMALL.get(name, {}))
    if name in ("cluster", "fresh"):
        params["item_vectors"] = vectors_of_two_tastes(n_items)
    if name == "fresh":
        params["content_vectors"] = vectors_of_two_tastes(n_items)
    if name == "content":
        params["catalogue"] = catalogue_of_two_tastes(n_items)
    return channel(name)(**params)


def fitted(name: str) -> Recall:
    if name not in _fitted:
        _fitted[name] = new(name).fit(TRAIN)
    return _fitted[name]


def requests(users: list[int] | np.ndarray, past: Interactions = TRAIN) -> Requests:
    return Requests.of(np.asarray(users), past, NOW)


def same(one: object, other: object) -> bool:
    return np.array_equal(one.items, other.items) and np.array_equal(one.scores, other.scores)


every_channel = pytest.mark.parametrize("name", CHANNELS)


@every_channel
def test_carries_the_name_of_the_registry(name: str):
    assert channel(name).name == name


@every_channel
def test_shapes_and_types(name: str):
    found = fitted(name).recall(requests([0, 1, 2]), k=7)
    assert found.items.shape == found.scores.shape == (3, 7)
    assert found.items.dtype == np.int64
    assert found.scores.dtype == np.float32


@every_channel
def test_unknown_user_gets_an_answer_of_items_or_of_nothing(name: str):
    found = fitted(name).recall(requests([PAD]), k=5)
    assert ((found.items != PAD).all() and name == "popular") or (found.items == PAD).all()


@every_channel
def test_user_without_history_is_answered_as_an_unknown_one(name: str):
    assert same(fitted(name).recall(requests([STRANGER]), k=5), fitted(name).recall(requests([PAD]), k=5))


@every_channel
def test_nobody_asks(name: str):
    assert fitted(name).recall(requests([]), k=5).items.shape == (0, 5)


@every_channel
def test_k_beyond_the_catalogue_ends_in_pad(name: str):
    found = fitted(name).recall(requests(np.arange(N_USERS)), k=N_ITEMS + 5)
    assert found.items.shape == (N_USERS, N_ITEMS + 5)
    assert (found.items[:, N_ITEMS - 12 :][:STRANGER] == PAD).all()


@every_channel
def test_padding_ends_a_row_and_scores_minus_infinity(name: str):
    found = fitted(name).recall(requests(np.arange(N_USERS)), k=N_ITEMS)
    missing = found.items == PAD
    assert (np.diff(missing.astype(int), axis=1) >= 0).all()
    assert np.array_equal(missing, np.isneginf(found.scores))


@every_channel
def test_best_first_and_equal_scores_by_row_number(name: str):
    found = fitted(name).recall(requests(np.arange(STRANGER)), k=20)
    for items, scores in zip(found.items, found.scores, strict=True):
        order = np.lexsort((items, -scores))
        kept = items[order] != PAD
        assert np.array_equal(items[order][kept], items[items != PAD])


@every_channel
def test_no_item_twice(name: str):
    for items in fitted(name).recall(requests(np.arange(N_USERS)), k=N_ITEMS).items:
        real = items[items != PAD]
        assert len(set(real)) == len(real)


@every_channel
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_never_returns_what_the_history_holds(name: str, data: st.DataObject):
    # A history of any kind, not only the one that the channel was fitted on.
    n = data.draw(st.integers(0, 60))
    items = np.array(data.draw(st.lists(st.integers(0, N_ITEMS - 1), min_size=n, max_size=n)), dtype=np.int32)
    users = np.sort(np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.int32))
    past = Interactions(
        users, items, np.arange(n, dtype=np.int64), np.ones(n, np.float32), {}, N_USERS, N_ITEMS
    )
    found = fitted(name).recall(requests(np.arange(4), past), k=N_ITEMS)
    for user in range(4):
        assert not set(found.items[user]) & set(items[users == user])


@every_channel
def test_returns_what_the_history_holds_where_that_may_return(name: str):
    users = np.arange(STRANGER)
    found = fitted(name).recall(requests(users, RETURNING), k=N_ITEMS).items
    assert sum(len(set(found[user]) & set(TRAIN.item_idx[TRAIN.user_idx == user])) for user in users)


@every_channel
@pytest.mark.parametrize("past", [TRAIN, RETURNING], ids=["gone", "returning"])
def test_one_user_as_in_a_batch(name: str, past: Interactions):
    users = np.concatenate([np.arange(N_USERS), [PAD]])
    batch = fitted(name).recall(requests(users, past), k=15)
    for row, user in enumerate(users):
        assert same(fitted(name).recall(requests([user], past), k=15), batch[row : row + 1])


@every_channel
def test_a_shorter_list_opens_a_longer_one(name: str):
    users = np.arange(N_USERS)
    assert same(
        fitted(name).recall(requests(users), k=5), fitted(name).recall(requests(users), k=20)[:].top(5)
    )


@every_channel
def test_save_and_load_change_nothing(name: str, tmp_path: Path):
    fitted(name).save(tmp_path)
    loaded = channel(name).load(tmp_path)
    users = requests(np.arange(N_USERS))
    assert same(loaded.recall(users, k=15), fitted(name).recall(users, k=15))


@every_channel
def test_saves_the_same_bytes_twice(name: str, tmp_path: Path):
    new(name).fit(TRAIN).save(tmp_path / "one")
    new(name).fit(TRAIN).save(tmp_path / "other")
    for file in (tmp_path / "one").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "other" / file.relative_to(tmp_path / "one")).read_bytes()


@every_channel
def test_second_fit_refits(name: str):
    other = two_tastes(seed=1)
    twice = new(name).fit(other).fit(TRAIN)
    assert same(twice.recall(requests([0, 1]), k=15), fitted(name).recall(requests([0, 1]), k=15))


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "again"])
def test_finds_what_was_held_out(name: str):
    assert share_found_of_what_was_held_out(name) >= FLOOR.get(name, 0.3)


@pytest.mark.parametrize("name", ["two_tower", "fm", "youtube_dnn", "mind"])
def test_finds_it_too_where_items_are_so_many_that_a_step_changes_few_of_them(name: str, monkeypatch):
    monkeypatch.setattr("recsys.nn.towers.LARGE", 1)
    assert share_found_of_what_was_held_out(name) >= 0.3


@pytest.mark.parametrize("name", ["two_tower", "youtube_dnn", "mind", "sequence"])
def test_finds_it_too_where_it_learns_from_shards(name: str):
    assert share_found_of_what_was_held_out(name, shards=3) >= 0.3


def share_found_of_what_was_held_out(name: str, shards: int = 0) -> float:
    left = TRAIN.offsets[1:] - 1
    held = TRAIN.by_user[left[:STRANGER]]
    past = TRAIN[np.setdiff1d(np.arange(len(TRAIN)), held)]
    future = TRAIN[held]
    relevant = np.sort(future.user_idx.astype(np.int64) * N_ITEMS + future.item_idx)
    users = np.arange(STRANGER)
    with sharded(past, shards) as train:
        found = new(name).fit(train).recall(requests(users, past), k=10)
    hits = hits_of(found.items, users, relevant, N_ITEMS)
    return float(recall_at_k(hits, np.ones(STRANGER), 10).mean())


@every_channel
def test_one_user_and_one_item(name: str):
    single = np.zeros(1, np.int32)
    train = Interactions(single, single, np.zeros(1, np.int64), np.ones(1, np.float32), {}, 1, 1)
    channel_of_one = new(name, n_items=1).fit(train)
    assert (channel_of_one.recall(Requests.of(np.zeros(1), train, 1), k=3).items == PAD).all()


def test_an_unknown_channel_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"'swift'.*popular, again, item_cf"):
        channel("swift")
