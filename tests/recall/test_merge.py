import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.recall.merge import merge
from recsys.types import PAD, Candidates

METHODS = ("learned", "reciprocal_rank", "snake")
GAINS = {"channel 0": [2.0, 1.0] + 9 * [0.5], "channel 2": 11 * [0.25]}


def listed(*rows: list[int]) -> Candidates:
    """Candidates with these items a row, scored downward."""
    width = max((len(row) for row in rows), default=0)
    padded = [row + [PAD] * (width - len(row)) for row in rows]
    items = np.array(padded, dtype=np.int64).reshape(len(rows), width)
    scores = np.where(items == PAD, -np.inf, 10.0 - np.arange(width)).astype(np.float32)
    return Candidates(items, scores)


_row = st.lists(st.integers(0, 12), unique=True, max_size=6)
_many = st.integers(1, 4).flatmap(
    lambda n: st.lists(st.lists(_row, min_size=n, max_size=n), min_size=1, max_size=3)
)


def _found(lists: list[list[list[int]]]) -> dict[str, Candidates]:
    return {f"channel {place}": listed(*rows) for place, rows in enumerate(lists)}


@given(_many, st.integers(1, 15), st.sampled_from(METHODS))
def test_a_batch_is_merged_as_one_by_one(lists, k, method):
    found = _found(lists)
    whole = merge(found, k, method=method, gains=GAINS)
    for row in range(len(whole)):
        alone = merge({name: c[[row]] for name, c in found.items()}, k, method=method, gains=GAINS)
        for field in ("items", "scores", "ranks", "channel_scores"):
            np.testing.assert_array_equal(getattr(alone, field)[0], getattr(whole, field)[row])


@given(_many, st.integers(1, 15), st.sampled_from(METHODS))
def test_no_item_comes_twice(lists, k, method):
    for row in merge(_found(lists), k, method=method, gains=GAINS).items:
        items = row[row != PAD]
        assert len(items) == len(set(items.tolist()))


@given(_many, st.integers(1, 15), st.sampled_from(METHODS))
def test_every_channels_rank_and_score_are_kept(lists, k, method):
    found = _found(lists)
    merged = merge(found, k, method=method, gains=GAINS)
    for row, place in zip(*np.nonzero(merged.items != PAD), strict=True):
        item = merged.items[row, place]
        for number, candidates in enumerate(found.values()):
            there = np.flatnonzero(candidates.items[row] == item)
            rank = merged.ranks[row, place, number]
            assert rank == (there[0] if len(there) else PAD)
            score = merged.channel_scores[row, place, number]
            assert score == candidates.scores[row, rank] if len(there) else np.isnan(score)


@given(_many, st.sampled_from(METHODS))
def test_with_room_enough_all_that_was_found_is_there(lists, method):
    merged = merge(_found(lists), 20, method=method, gains=GAINS)
    for row, items in enumerate(merged.items):
        assert set(items.tolist()) - {PAD} == {item for rows in lists for item in rows[row]}


@given(_many, st.integers(1, 15), st.sampled_from(METHODS))
def test_scores_fall_and_padding_comes_last(lists, k, method):
    merged = merge(_found(lists), k, method=method, gains=GAINS)
    assert (merged.scores[:, 1:] <= merged.scores[:, :-1]).all()
    np.testing.assert_array_equal(merged.items == PAD, np.isneginf(merged.scores))


@given(_many, st.integers(1, 8), st.sampled_from(METHODS))
def test_a_shorter_list_is_the_head_of_a_longer_one(lists, k, method):
    found = _found(lists)
    longer, shorter = (
        merge(found, 15, method=method, gains=GAINS),
        merge(found, k, method=method, gains=GAINS),
    )
    np.testing.assert_array_equal(longer.items[:, :k], shorter.items)


def test_reciprocal_ranks_add_up():
    merged = merge({"a": listed([5, 7]), "b": listed([7])}, 2)
    assert merged.items.tolist() == [[7, 5]]
    assert merged.scores[0] == pytest.approx([1 / 62 + 1 / 61, 1 / 61])


def test_gains_add_up_and_lie_on_the_logarithm_of_ranks_between_knots():
    found = {"a": listed([5, 6, 7]), "b": listed([7])}
    merged = merge(found, 3, "learned", {"a": [4.0, 2.0, 1.0] + 8 * [1.0], "b": 11 * [0.5]})
    assert merged.items.tolist() == [[5, 6, 7]]
    third = 2 + (1 - 2) * np.log(3 / 2) / np.log(2)
    assert merged.scores[0] == pytest.approx([4, 2, third + 0.5], rel=1e-3)


def test_what_only_channels_without_gains_found_comes_last_in_its_order():
    found = {"a": listed([9, 4, 6]), "b": listed([2])}
    assert merge(found, 4, "learned", {"a": 11 * [0.0], "b": 11 * [1.0]}).items.tolist() == [[2, 9, 4, 6]]


@given(gain=st.floats(0, 4), order=st.permutations(range(60)))
def test_what_a_channel_found_alone_stays_in_its_order_where_gains_are_flat(gain, order):
    assert merge({"a": listed(list(order))}, 60, "learned", {"a": 11 * [gain]}).items.tolist() == [
        list(order)
    ]


def test_ties_go_to_the_lower_row_number():
    assert merge({"a": listed([9]), "b": listed([2])}, 2).items.tolist() == [[2, 9]]


def test_snake_takes_each_channels_first_then_each_ones_second():
    found = {"a": listed([5, 6]), "b": listed([3, 4])}
    assert merge(found, 4, method="snake").items.tolist() == [[5, 3, 6, 4]]


def test_a_user_for_whom_no_channel_found_anything_gets_an_empty_row():
    merged = merge({"a": listed([], [4]), "b": listed([], [])}, 2)
    assert merged.items.tolist() == [[PAD, PAD], [4, PAD]]


def test_no_users_give_no_rows():
    assert merge({"a": Candidates.none(0, 3)}, 5).items.shape == (0, 5)


def test_rows_are_picked_with_their_ranks():
    merged = merge({"a": listed([1], [2])}, 1)[[1]]
    assert (merged.items.tolist(), merged.ranks.tolist()) == ([[2]], [[[0]]])
