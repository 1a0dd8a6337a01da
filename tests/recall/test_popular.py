import numpy as np

from recsys.recall.popular import PopularRecall
from recsys.types import DAY, PAD, Interactions, Requests

ITEMS = [0, 0, 0, 1, 2, 2, 4]
DAYS = [1, 2, 3, 99, 98, 99, 5]


def train() -> Interactions:
    order = np.argsort(DAYS, kind="stable")
    n = len(ITEMS)
    return Interactions(
        user_idx=np.arange(n, dtype=np.int32),
        item_idx=np.array(ITEMS, np.int32)[order],
        timestamp=np.array(DAYS)[order] * DAY,
        value=np.ones(n, np.float32),
        labels={},
        n_users=n,
        n_items=5,
    )


def ranking(days: float | None) -> list[int]:
    stranger = Requests.of(np.array([PAD]), train(), 100 * DAY)
    return PopularRecall(days=days).fit(train()).recall(stranger, 5).items[0].tolist()


def test_all_time_counts_every_interaction():
    assert ranking(None) == [0, 2, 1, 4, PAD]


def test_the_window_counts_back_from_the_newest_event():
    assert ranking(10)[:2] == [2, 1]


def test_items_outside_the_window_follow_by_all_time_counts():
    assert ranking(10) == [2, 1, 0, 4, PAD]


def test_an_item_without_interactions_is_never_recalled():
    assert 3 not in ranking(None)
