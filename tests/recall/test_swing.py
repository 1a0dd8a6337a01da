"""What the contract does not ask of swing."""

import numpy as np
import pytest

from recsys.recall.swing import SwingRecall
from recsys.types import PAD, Interactions


def baskets(*rows: list[int], n_items: int = 8) -> Interactions:
    """A user a row."""
    users = np.repeat(np.arange(len(rows), dtype=np.int32), [len(row) for row in rows])
    items = np.concatenate([np.asarray(row, dtype=np.int32) for row in rows])
    n = len(items)
    return Interactions(users, items, np.arange(n), np.ones(n, np.float32), {}, len(rows), n_items)


def many(seed: int = 0, n_users: int = 60, n_items: int = 12) -> Interactions:
    rng = np.random.default_rng(seed)
    return baskets(
        *(rng.permutation(n_items)[: rng.integers(2, 8)].tolist() for _ in range(n_users)), n_items=n_items
    )


def table(channel: SwingRecall) -> np.ndarray:
    return channel.similar_.table.toarray()


def by_loops(train: Interactions, smoothing: float, user_power: float, power: float) -> np.ndarray:
    """The paper's formula, pair after pair."""
    sets = [set(train.item_idx[train.user_idx == user].tolist()) for user in range(train.n_users)]
    degrees = np.bincount(train.item_idx, minlength=train.n_items)
    total = np.zeros((train.n_items, train.n_items))
    for one in range(len(sets)):
        for other in range(one):
            both = list(sets[one] & sets[other])
            weight = (len(sets[one]) * len(sets[other])) ** -user_power / (smoothing + len(both))
            total[np.ix_(both, both)] += weight
    np.fill_diagonal(total, 0)
    return total / np.maximum(np.outer(degrees, degrees), 1) ** power


@pytest.mark.parametrize(("user_power", "power"), [(0.5, 0.0), (0.0, 0.5)])
def test_similarity_is_the_papers(user_power: float, power: float):
    channel = SwingRecall(smoothing=2, user_power=user_power, power=power).fit(many())
    np.testing.assert_allclose(table(channel), by_loops(many(), 2, user_power, power), rtol=1e-5)


def test_one_user_alone_makes_nothing_similar():
    assert table(SwingRecall().fit(baskets([0, 1, 2]))).max() == 0


def test_a_pair_that_shares_little_else_counts_more():
    channel = SwingRecall(user_power=0, power=0).fit(baskets([0, 1], [0, 1], [2, 3, 4, 5], [2, 3, 4, 5]))
    assert table(channel)[0, 1] == pytest.approx(1 / 3)
    assert table(channel)[2, 3] == pytest.approx(1 / 5)


def test_drawn_users_stand_for_all():
    # Whoever is drawn, all pairs are alike.
    train = baskets(*[[0, 1, 2]] * 9)
    every, some = (table(SwingRecall(max_users=n, power=0).fit(train)) for n in (9, 3))
    np.testing.assert_allclose(some, every, rtol=1e-5)


def test_who_is_drawn_is_decided_by_the_seed():
    one, again, other = (table(SwingRecall(max_users=5, seed=seed).fit(many())) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_more_are_drawn_the_nearer_to_all():
    every = table(SwingRecall().fit(many()))
    errors = [np.abs(table(SwingRecall(max_users=n).fit(many())) - every).sum() for n in (3, 10, 20)]
    assert errors == sorted(errors, reverse=True)


def test_similar_items_are_the_most_similar_first():
    found = SwingRecall().fit(many()).similar(np.array([3, PAD]), 5)
    assert (np.diff(found.scores[0]) <= 0).all()
    assert (found.items[1] == PAD).all()


@pytest.mark.parametrize(
    ("params", "fault"),
    [({"smoothing": 0}, "smoothing 0"), ({"max_users": 1}, "no pair"), ({"power": -1}, "power")],
)
def test_settings_that_make_no_sense_are_refused(params: dict[str, float], fault: str):
    with pytest.raises(ValueError, match=fault):
        SwingRecall(**params)
