"""What the contract does not ask of fresh items."""

from pathlib import Path

import numpy as np
import pytest

from recsys.recall.fresh import FreshRecall
from recsys.types import DAY, PAD, Interactions, Requests

# Items 0 to 3 are old, 4 to 6 new, 7 was never met; item vectors know two tastes, content another two.
TASTES = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1], [1, 0], [0.1, 0.1], [0, 0]], dtype=np.float32)
CONTENT = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 0, 1, 2, 0]]


def met(items: list[int], days: list[float]) -> Interactions:
    n = len(items)
    times = (np.asarray(days) * DAY).astype(np.int64)
    return Interactions(
        np.zeros(n, np.int32), np.asarray(items, np.int32), times, np.ones(n, np.float32), {}, 1, len(TASTES)
    )


TRAIN = met([0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 95, 96, 100])


def fitted(**params: float) -> FreshRecall:
    return FreshRecall(item_vectors=TASTES, content_vectors=CONTENT, **{"days": 10, **params}).fit(TRAIN)


def found(channel: FreshRecall, history: list[int]) -> list[int]:
    items = channel.recall(Requests.of(np.array([0]), met(history, [0] * len(history)), 0), 8).items[0]
    return [int(item) for item in items if item != PAD]


def test_only_fresh_items_are_found_the_never_met_among_them():
    assert set(found(fitted(), [0])) == {4, 5, 7}


def test_a_fresh_item_stands_where_older_ones_of_its_content_do():
    # By its own vector item 4 would be far from item 0: too few have met it to say so.
    assert found(fitted(), [0])[:2] == [4, 7]
    assert found(fitted(), [2])[0] == 5


def test_a_fresh_item_like_no_older_one_is_not_found():
    assert 6 not in found(fitted(), [0, 2])


def test_what_is_fresh_is_told_by_the_days():
    assert set(found(fitted(days=4.5), [0])) == {5, 7}
    assert set(found(fitted(days=1), [0])) == {7}


def test_the_likest_are_weighed_by_likeness():
    content = np.array([[1, 0], [1, 0], [0.6, 0.8], [0.6, 0.8], [1, 0]], dtype=np.float32)
    train = met([0, 1, 2, 3], [0, 0, 0, 50])
    short = Interactions(train.user_idx, train.item_idx, train.timestamp, train.value, {}, 1, 5)
    channel = FreshRecall(item_vectors=TASTES[:5], content_vectors=content, days=10, n_similar=3).fit(short)
    two, one = 2 * np.array([1, 0]), 0.6 * np.array([0, 1])
    np.testing.assert_allclose(channel.space_.vectors[4], (two + one) / np.linalg.norm(two + one), rtol=1e-5)


def test_saved_vectors_are_those_that_answer(tmp_path: Path):
    fitted().save(tmp_path)
    assert found(FreshRecall.load(tmp_path), [0]) == found(fitted(), [0])


@pytest.mark.parametrize("name", ["item_vectors", "content_vectors"])
def test_vectors_of_another_catalogue_are_refused(name: str):
    given = {"item_vectors": TASTES, "content_vectors": CONTENT, name: TASTES[:3]}
    with pytest.raises(ValueError, match="3 item vectors for 8 items"):
        FreshRecall(**given).fit(TRAIN)
