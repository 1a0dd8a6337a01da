import numpy as np
import pytest

from recsys.recall.user_cf import UserCfRecall
from recsys.types import DAY, PAD, Interactions, Requests


def sequences(*rows: list[int], n_items: int = 8) -> Interactions:
    """A user a row: the items in the order met, one a day; of a day, the first user first."""
    places = sorted((day, user, item) for user, row in enumerate(rows) for day, item in enumerate(row))
    days, users, items = np.array(places).T
    return Interactions(
        user_idx=users.astype(np.int32),
        item_idx=items.astype(np.int32),
        timestamp=days * DAY,
        value=np.ones(len(users), np.float32),
        labels={},
        n_users=len(rows),
        n_items=n_items,
    )


def off(**weights: object) -> UserCfRecall:
    """All weights and bounds off but those named."""
    plain = {"iif": False, "power": 0.0, "n_recent": None, "step_decay": 0.0, "max_item_users": None}
    return UserCfRecall(**{**plain, **weights})


def answer(channel: UserCfRecall, train: Interactions, user: int, k: int = 3) -> dict[int, float]:
    found = channel.fit(train).recall(Requests.of(np.array([user]), train, 1000 * DAY), k)
    pairs = zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True)
    return {item: score for item, score in pairs if item != PAD}


def test_without_weights_neighbours_count_their_shared_items():
    assert answer(off(), sequences([0, 1], [0, 1, 2], [0, 3]), 0) == {2: 2, 3: 1}


def test_iif_discounts_popular_items():
    train = sequences([0, 1], [0, 2], [1, 3], [0, 4])
    got = answer(off(iif=True), train, 0)
    assert got == pytest.approx({3: 1 / np.log(3), 2: 1 / np.log(4), 4: 1 / np.log(4)})


def test_power_one_half_is_the_cosine():
    assert answer(off(power=0.5), sequences([0], [0, 1]), 0) == pytest.approx({1: 1 / np.sqrt(2)})


def test_neighbours_are_found_by_the_recent_items():
    assert answer(off(n_recent=1), sequences([0, 1], [0, 2], [1, 3]), 0) == {3: 1}


def test_only_the_last_items_of_a_neighbour_are_proposed():
    assert answer(off(n_last=1), sequences([0], [0, 1, 2]), 0) == {2: 1}


def test_step_decay_favours_a_neighbours_newest():
    got = answer(off(step_decay=0.5), sequences([0], [0, 1, 2]), 0)
    assert got == pytest.approx({2: 1, 1: np.exp(-0.5)})


def test_attribute_weight_favours_the_same_region():
    regions = np.array([1, 1, 2])
    got = answer(off(attribute_weight=3.0, attributes=regions), sequences([0], [0, 1], [0, 2]), 0)
    assert got == {1: 3, 2: 1}


def test_attribute_only_leaves_others_out():
    regions = np.array([1, 1, 2])
    assert answer(off(attribute_only=True, attributes=regions), sequences([0], [0, 1], [0, 2]), 0) == {1: 1}


def test_an_unknown_region_is_like_no_other():
    regions = np.array([-1, -1, 2])
    assert answer(off(attribute_only=True, attributes=regions), sequences([0], [0, 1], [0, 2]), 0) == {}


def test_an_attribute_rule_without_attributes_is_refused():
    with pytest.raises(ValueError, match="need attributes"):
        UserCfRecall(attribute_only=True)


def test_max_item_users_keeps_an_items_newest_users():
    # Item 0 is met by user 1 on day 0, by user 2 on day 1, by user 0 on day 2.
    train = sequences([6, 7, 0], [0, 1], [5, 0, 2])
    assert set(answer(off(max_item_users=2), train, 0)) == {5, 2}


def test_a_user_whom_train_does_not_know_gets_nothing():
    train = sequences([0], [0, 1])
    asked = Requests(np.array([PAD]), np.array([0]), train.histories(np.array([0])))
    assert (off().fit(train).recall(asked, 2).items == PAD).all()
