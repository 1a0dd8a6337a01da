import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from recsys.recall import seen
from recsys.recall.seen import best_unseen, best_unseen_of, in_blocks
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
    dense, found = best_unseen(positive, NOTHING, k), best_unseen_of(candidates, NOTHING, k)
    assert np.array_equal(dense.items, found.items)
    assert np.array_equal(dense.scores, found.scores)


def test_the_seen_give_way_to_the_next_best():
    found = best_unseen(np.array([[3, 2, 1]], np.float32), history_of([0]), k=2)
    assert found.items.tolist() == [[1, 2]]


def test_the_seen_give_way_among_sparse_candidates():
    candidates = sparse.csr_matrix(np.array([[3, 2, 1]], np.float32))
    assert best_unseen_of(candidates, history_of([0, 0]), k=2).items.tolist() == [[1, 2]]


def test_blocks_are_put_together_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(seen, "BLOCK_CELLS", 20)
    users = np.arange(5)
    requests = Requests(users, users, Histories(*[np.zeros(0)] * 3, np.zeros(5, int), np.zeros(5, int)))
    found = in_blocks(
        requests,
        1,
        10,
        lambda block: Candidates(block.users[:, None], block.users[:, None].astype(np.float32)),
    )
    assert found.items[:, 0].tolist() == [0, 1, 2, 3, 4]
