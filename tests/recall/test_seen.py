import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from recsys.recall import seen
from recsys.recall.seen import (
    best_unseen,
    best_unseen_of,
    best_unseen_products,
    best_unseen_sums,
    first_unseen,
    in_blocks,
)
from recsys.types import PAD, Candidates, Histories, Requests

NOTHING = Histories(
    np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(3, int), np.zeros(3, int)
)
"""Three users without history."""
# Few distinct scores, so that many are equal.
SCORES = arrays(np.float32, (3, 9), elements=st.sampled_from([-np.inf, -2.5, -0.0, 0.0, 1e-30, 0.5, 7]))


def history_of(items: list[int]) -> Histories:
    """One user's."""
    n = len(items)
    return Histories(
        np.array(items, np.int32), np.zeros(n, np.int64), np.ones(n, np.float32), np.array([0]), np.array([n])
    )


@given(scores=SCORES, k=st.integers(1, 12))
def test_best_unseen_sorts_by_score_then_row_number(scores: np.ndarray, k: int):
    found = best_unseen(scores.copy(), NOTHING, k)
    for row in range(3):
        order = np.lexsort((np.arange(9), -scores[row]))
        order = order[scores[row][order] > -np.inf][:k]
        assert found.items[row].tolist() == order.tolist() + [PAD] * (k - len(order))
        assert found.scores[row][: len(order)].tolist() == scores[row][order].tolist()


@given(scores=SCORES, k=st.integers(1, 12))
def test_sparse_candidates_give_what_dense_ones_give(scores: np.ndarray, k: int):
    positive = np.where(scores > 0, scores, -np.inf).astype(np.float32)
    candidates = sparse.csr_matrix(np.where(scores > 0, scores, 0).astype(np.float32))
    some = candidates.indices, candidates.data, candidates.indptr
    dense, found = best_unseen(positive, NOTHING, k), best_unseen_of(*some, 9, NOTHING, k)
    assert np.array_equal(dense.items, found.items)
    assert np.array_equal(dense.scores, found.scores)


def test_the_seen_give_way_to_the_next_best():
    found = best_unseen(np.array([[3, 2, 1]], np.float32), history_of([0]), k=2)
    assert found.items.tolist() == [[1, 2]]


def test_the_seen_give_way_among_some_items():
    scores = np.array([3, 2, 1], np.float32)
    found = best_unseen_of(np.arange(3), scores, np.array([0, 3]), 3, history_of([0, 0]), k=2)
    assert found.items.tolist() == [[1, 2]]


@given(
    ids=arrays(np.int64, (3, 4), elements=st.integers(PAD, 5)),
    weights=arrays(np.float32, (3, 4), elements=st.sampled_from([0, 0.5, 2])),
    table=arrays(np.float32, (6, 9), elements=st.sampled_from([0, 0, 0.25, 1])),
    k=st.integers(1, 12),
)
def test_sums_of_rows_are_a_matrix_product(ids, weights, table, k):
    product = np.zeros((3, 9), np.float32)
    for row, place in np.argwhere(ids != PAD):
        product[row] += weights[row, place] * table[ids[row, place]]
    expected = best_unseen(np.where(product > 0, product, -np.inf).astype(np.float32), NOTHING, k)
    found = best_unseen_sums(ids, weights, sparse.csr_matrix(table), NOTHING, k)
    assert np.array_equal(found.items, expected.items)
    assert np.array_equal(found.scores, expected.scores)


@given(
    queries=arrays(np.float32, (3, 2), elements=st.sampled_from([0, -1, 0.5, 2])),
    vectors=arrays(np.float32, (9, 2), elements=st.sampled_from([0, -1, 0.5, 2])),
    k=st.integers(1, 12),
)
def test_products_are_a_matrix_product_without_the_unmet_and_for_no_query_of_zeros(queries, vectors, k):
    product = queries @ vectors.T
    product[~queries.any(axis=1)] = -np.inf
    product[:, [2, 5]] = -np.inf
    expected = best_unseen(product, NOTHING, k)
    found = best_unseen_products(queries, vectors, np.array([2, 5]), NOTHING, k)
    assert np.array_equal(found.items, expected.items)
    assert np.array_equal(found.scores, expected.scores)


@given(seen_items=st.lists(st.integers(0, 5), max_size=8), k=st.integers(1, 9))
def test_the_first_unseen_of_a_list_keep_its_order(seen_items, k):
    items, scores = np.array([4, 0, 3, 1, 5]), np.arange(5, 0, -1).astype(np.float32)
    found = first_unseen(items, scores, 6, history_of(seen_items), k)
    left = [item for item in items.tolist() if item not in seen_items][:k]
    assert found.items.tolist() == [left + [PAD] * (k - len(left))]


def test_blocks_are_put_together_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(seen, "BLOCK", 2)
    users = np.arange(5)
    requests = Requests(users, users, Histories(*[np.zeros(0)] * 3, np.zeros(5, int), np.zeros(5, int)))
    found = in_blocks(
        requests,
        1,
        lambda block: Candidates(block.users[:, None], block.users[:, None].astype(np.float32)),
    )
    assert found.items[:, 0].tolist() == [0, 1, 2, 3, 4]
