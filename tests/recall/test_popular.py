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


def in_segments(users: list[int], segments: list[int], **changed: object) -> list[list[int]]:
    channel = PopularRecall(segments=np.array(segments), **changed).fit(train())
    return channel.recall_in_segment(Requests.of(np.array(users), train(), 100 * DAY), 5).items.tolist()


def test_a_segments_own_come_first_then_what_is_popular_at_all():
    # In the order of time users 3, 4, 5 and 6 met the items 4, 2, 1 and 2.
    first, second, stranger = in_segments([0, 5, PAD], [0, 0, 0, 0, 1, 1, 1])
    assert first == [4, 2, 1, PAD, PAD]
    assert second == [2, 0, 4, PAD, PAD]
    assert stranger == [0, 2, 1, 4, PAD]


def test_who_is_in_no_segment_gets_the_list_of_all():
    assert in_segments([PAD], [-1] * 7) == in_segments([PAD], [0] * 7)


def test_segments_are_saved_with_their_lists(tmp_path):
    fitted = PopularRecall(segments=np.array([0, 0, 0, 0, 1, 1, -1]), days=10).fit(train())
    fitted.save(tmp_path)
    asked = Requests.of(np.array([0, 4, 6, PAD]), train(), 100 * DAY)
    loaded = PopularRecall.load(tmp_path).recall_in_segment(asked, 5)
    assert np.array_equal(loaded.items, fitted.recall_in_segment(asked, 5).items)
    assert np.array_equal(loaded.scores, fitted.recall_in_segment(asked, 5).scores)
