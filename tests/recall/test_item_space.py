"""A user among items: what cluster's tests do not say."""

from pathlib import Path

import numpy as np

from recsys.recall.item_space import ItemSpace, Profile
from recsys.types import PAD, Interactions, Requests

VECTORS = np.array([[2, 0], [1, 1], [0, 1], [-1, 0], [0, 0]], dtype=np.float32)


def past(*items: int, values: tuple[float, ...] | None = None) -> Interactions:
    n = len(items)
    told = np.asarray(values or np.ones(n), dtype=np.float32)
    return Interactions(
        np.zeros(n, np.int32), np.asarray(items, np.int32), np.arange(n), told, {}, 1, len(VECTORS)
    )


def space(decay: float = 0.5, recalled: np.ndarray | None = None) -> ItemSpace:
    return ItemSpace.of(VECTORS, Profile.fit(past(0), 3, decay), recalled=recalled)


def asked(*items: int) -> Requests:
    return Requests.of(np.array([0]), past(*items), 100)


def test_the_nearest_by_angle_come_first_and_the_seen_never():
    assert space().recall(asked(0), 5).items[0].tolist() == [1, 2, 3, PAD, PAD]


def test_a_user_leans_to_the_newest():
    user = space(decay=0.5).profile.vectors(asked(0, 2), space().vectors)[0]
    np.testing.assert_allclose(user, np.array([1, 2]) / np.sqrt(5), rtol=1e-6)


def test_only_the_last_items_are_looked_at():
    assert np.array_equal(
        space().profile.vectors(asked(3, 0, 0, 2), space().vectors),
        space().profile.vectors(asked(0, 0, 2), space().vectors),
    )


def test_an_item_without_vector_is_never_found():
    assert 4 not in space().recall(asked(0), 5).items


def test_a_user_of_such_items_only_gets_nothing():
    assert (space().recall(asked(4), 5).items == PAD).all()


def test_what_is_not_to_be_recalled_still_tells_of_the_user():
    found = space(recalled=np.array([False, False, True, True, True])).recall(asked(0), 5)
    assert found.items[0].tolist() == [2, 3, PAD, PAD, PAD]


def test_other_vectors_may_answer(tmp_path: Path):
    answers = np.array([[0, 0], [-2, 0], [0, 1], [5, 0], [9, 9]], dtype=np.float32)
    ItemSpace.of(VECTORS, Profile.fit(past(0), 3, 0.5), answers=answers).save(tmp_path)
    found = ItemSpace.load(tmp_path).recall(asked(0), 5)
    assert found.items[0].tolist() == [3, 2, 1, PAD, PAD]
    assert found.scores[0, :3].tolist() == [5, 0, -2]


def test_similar_items_are_the_nearest_without_itself():
    found = space().similar(np.array([0, PAD]), 2)
    assert found.items.tolist() == [[1, 2], [PAD, PAD]]
    np.testing.assert_allclose(found.scores[0], [np.sqrt(0.5), 0], atol=1e-6)


def test_saved_and_loaded_it_answers_alike(tmp_path: Path):
    space().save(tmp_path)
    one, other = ItemSpace.load(tmp_path).recall(asked(0, 1), 4), space().recall(asked(0, 1), 4)
    assert np.array_equal(one.items, other.items)
    assert np.array_equal(one.scores, other.scores)
