import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.types import PAD, Candidates, Histories, Interactions, MergedCandidates

times = st.lists(st.integers(0, 9), max_size=8)


def history(timestamps: list[int], first: int) -> Histories:
    """One user's, amid others' rows; items count up from ``first``."""
    n = len(timestamps)
    items = np.concatenate([[99], np.arange(first, first + n), [99]]).astype(np.int32)
    when = np.array([0, *timestamps, 0], dtype=np.int64)
    return Histories(items, when, np.ones(n + 2, np.float32), np.array([1]), np.array([n + 1]))


@given(before=times.map(sorted), after=times)
def test_a_history_with_more_is_in_the_order_of_time_and_loses_nothing(before, after):
    new = np.arange(50, 50 + len(after))
    longer = history(before, 10).then(new, np.array(after, np.int64), np.ones(len(after)))
    assert longer.lengths.tolist() == [len(before) + len(after)]
    assert longer.timestamps.tolist() == sorted(before + after)
    every = sorted(zip(before + after, range(len(before + after)), strict=True))
    expected = [10 + n if n < len(before) else 50 + n - len(before) for _, n in every]
    assert longer.items.tolist() == expected


def interactions(n: int) -> Interactions:
    rows = np.arange(n, dtype=np.int32)
    labels = {"liked": rows.astype(np.float32)}
    return Interactions(rows, rows, rows.astype(np.int64), rows.astype(np.float32), labels, n, n)


@given(mask=st.lists(st.booleans(), min_size=1, max_size=8))
def test_a_mask_picks_the_rows_that_it_marks(mask):
    picked = interactions(len(mask))[np.array(mask)]
    expected = np.flatnonzero(mask).tolist()
    assert picked.user_idx.tolist() == picked.labels["liked"].tolist() == expected


def test_rows_that_lie_together_are_not_copied():
    every = interactions(4)
    together, apart = every[np.array([0, 1, 1, 0], bool)], every[np.array([1, 0, 1, 0], bool)]
    assert np.shares_memory(together.timestamp, every.timestamp)
    assert not np.shares_memory(apart.timestamp, every.timestamp)


def test_nothing_found_is_padding_everywhere():
    none = MergedCandidates.none(("one", "two"), 3, 4)
    assert (none.items == PAD).all()
    assert (none.ranks == PAD).all()
    assert np.isneginf(none.scores).all()
    assert np.isnan(none.channel_scores).all()
    assert none.ranks.shape == (3, 4, 2)


def test_candidates_are_padded_to_the_length_asked():
    assert Candidates.none(2, 3).top(5).items.shape == (2, 5)
