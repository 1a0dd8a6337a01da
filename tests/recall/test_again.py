from dataclasses import replace

import numpy as np
import pytest

from recsys.recall.again import AgainRecall
from recsys.types import DAY, PAD, Interactions, Requests

ITEMS = [3, 1, 3, 2]
DAYS = [0, 80, 90, 99]


def met(seen_return=True):
    n = len(ITEMS)
    return Interactions(
        user_idx=np.zeros(n, np.int32),
        item_idx=np.array(ITEMS, np.int32),
        timestamp=np.array(DAYS, np.int64) * DAY,
        value=np.ones(n, np.float32),
        labels={},
        n_users=2,
        n_items=5,
        seen_return=seen_return,
    )


def test_what_was_met_oftener_and_later_comes_first():
    found = AgainRecall(days=10).fit(met()).recall(Requests.of([0, 1, PAD], met(), 100 * DAY), 5)
    assert found.items.tolist() == [[2, 3, 1, PAD, PAD], [PAD] * 5, [PAD] * 5]
    expected = [np.exp(-0.1), np.exp(-10) + np.exp(-1), np.exp(-2)]
    assert found.scores[0, :3] == pytest.approx(expected, rel=1e-6)


def test_nothing_is_found_where_seen_items_do_not_return():
    asked = Requests.of([0], met(seen_return=False), 100 * DAY)
    assert (AgainRecall().fit(met()).recall(asked, 5).items == PAD).all()


def test_what_happens_after_the_moment_of_asking_counts_as_of_now():
    asked = Requests.of([0], met(), 95 * DAY)
    found = AgainRecall(days=10).fit(met()).recall(asked, 5)
    assert found.scores[0, found.items[0] == 2] == pytest.approx(1)


def test_days_must_be_above_zero():
    with pytest.raises(ValueError, match="days 0 is not above 0"):
        AgainRecall(days=0)


def test_a_request_keeps_whether_seen_items_return():
    asked = Requests.of([0, 1], met(), 100 * DAY)
    assert asked[:1].seen_return
    assert asked.seen.lengths.tolist() == [0, 0]
    assert replace(asked, seen_return=False).seen.lengths.tolist() == [4, 0]
