import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.types import PAD, Candidates, Histories, MergedCandidates

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


def test_nothing_found_is_padding_everywhere():
    none = MergedCandidates.none(("one", "two"), 3, 4)
    assert (none.items == PAD).all()
    assert (none.ranks == PAD).all()
    assert np.isneginf(none.scores).all()
    assert np.isnan(none.channel_scores).all()
    assert none.ranks.shape == (3, 4, 2)


def test_candidates_are_padded_to_the_length_asked():
    assert Candidates.none(2, 3).top(5).items.shape == (2, 5)
