"""A made-up world keeps what it says of itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.synthetic import World, world

SMALL = World.of(200, 60, n_topics=5, days=30, seed=1)
(SEEN,) = SMALL.events(200_000)


def test_the_same_seed_makes_the_same_world_and_another_one_another():
    (again,), (other,) = SMALL.events(200_000), SMALL.events(200_000, seed=1)
    assert np.array_equal(again.items, SEEN.items)
    assert np.array_equal(again.clicked, SEEN.clicked)
    assert not np.array_equal(other.items, SEEN.items)


@given(users=st.integers(1, 50), items=st.integers(4, 40), topics=st.integers(3, 4), seed=st.integers(0, 99))
def test_what_is_shown_is_there_by_then_and_chances_are_chances(users, items, topics, seed):
    small = World.of(users, items, topics, days=7, seed=seed)
    assert (np.diff(np.sort(small.tastes, axis=1)) > 0).all()
    (shown,) = small.events(500)
    assert (small.born[shown.items] <= shown.timestamps).all()
    for chance in (shown.propensity, shown.looked, shown.liked):
        assert ((chance > 0) & (chance <= 1)).all()
    assert (shown.seconds[~shown.clicked] == 0).all()


def test_an_article_is_shown_as_often_as_its_propensity_says():
    # The mean of 1 / propensity over what was shown is the number of articles there are by then.
    there = (SMALL.born <= SEEN.timestamps[:, None]).sum(axis=1).mean()
    assert (1 / SEEN.propensity).mean() == pytest.approx(there, rel=0.03)


def test_places_and_tastes_move_clicks_as_told():
    assert SEEN.clicked.mean() == pytest.approx((SEEN.looked * SEEN.liked).mean(), rel=0.02)
    by_place = [SEEN.clicked[SEEN.positions == place].mean() for place in (1, 5, 10)]
    assert by_place[0] > by_place[1] > by_place[2]
    cares = (SMALL.tastes[SEEN.users] == SMALL.topics[SEEN.items][:, None]).any(axis=1)
    assert SEEN.clicked[cares].mean() > 1.5 * SEEN.clicked[~cares].mean()


def test_activity_and_popularity_are_uneven_and_fashion_changes():
    per_user = np.sort(np.bincount(SEEN.users, minlength=200))[::-1]
    assert per_user[:20].sum() > 0.2 * len(SEEN)
    weeks = (SEEN.timestamps - world.BEGIN) // (7 * 86_400)
    topics = SMALL.topics[SEEN.items]
    early, late = (np.bincount(topics[weeks == week], minlength=5) / (weeks == week).sum() for week in (0, 2))
    assert np.abs(early - late).max() > 0.05


def test_parts_are_one_world(monkeypatch):
    monkeypatch.setattr(world, "AT_ONCE", 1000)
    assert [len(part) for part in SMALL.events(2500)] == [1000, 1000, 500]


@pytest.mark.parametrize("shape", [(0, 60, 5, 30), (5, 60, 2, 30), (5, 4, 5, 30), (5, 60, 5, 6)])
def test_a_world_that_is_too_small_is_refused(shape):
    with pytest.raises(ValueError, match="a world needs a user"):
        World.of(*shape)
