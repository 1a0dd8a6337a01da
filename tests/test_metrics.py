import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.metrics import (
    auc,
    bootstrap,
    calibration_error,
    coverage,
    gauc,
    hit_rate_at_k,
    hits_of,
    intra_list_diversity,
    log_loss,
    mrr_at_k,
    ndcg_at_k,
    novelty,
    recall_at_k,
    share_of,
)
from recsys.types import PAD

HITS = np.array([[False, True, False, True], [False, False, False, False], [True, False, False, False]])
N_RELEVANT = np.array([3, 2, 1])
NOTHING = np.array([0])


def test_a_hit_is_the_users_own_item():
    relevant = np.array([0 * 10 + 3, 1 * 10 + 4])
    assert hits_of(np.array([[3, 4], [3, 4]]), np.array([0, 1]), relevant, 10).tolist() == [
        [True, False],
        [False, True],
    ]


def test_padding_is_never_a_hit_even_where_its_key_is_the_last_item_of_the_user_before():
    relevant = np.array([9])  # user 0, item 9; user 1's PAD has the key 10 - 1
    assert not hits_of(np.array([[PAD]]), np.array([1]), relevant, 10).any()


def test_nothing_relevant_gives_no_hits():
    assert not hits_of(np.array([[1, 2]]), np.array([0]), np.array([], dtype=np.int64), 10).any()


def test_recall_counts_hits_among_the_first_k():
    assert recall_at_k(HITS, N_RELEVANT, 2) == pytest.approx([1 / 3, 0, 1])


def test_hit_rate_is_one_where_any_is_found():
    assert hit_rate_at_k(HITS, N_RELEVANT, 4).tolist() == [1, 0, 1]


def test_mrr_is_of_the_first_hit():
    assert mrr_at_k(HITS, N_RELEVANT, 4) == pytest.approx([1 / 2, 0, 1])


def test_mrr_beyond_k_is_zero():
    assert mrr_at_k(HITS, N_RELEVANT, 1).tolist() == [0, 0, 1]


def test_ndcg_of_a_hit_at_rank_two():
    assert ndcg_at_k(np.array([[False, True]]), np.array([1]), 2) == pytest.approx([1 / np.log2(3)])


def test_ndcg_of_a_perfect_list_is_one_though_more_is_relevant_than_fits():
    assert ndcg_at_k(np.ones((1, 3), dtype=bool), np.array([7]), 3) == pytest.approx([1])


def test_ndcg_of_a_list_shorter_than_k_is_held_against_the_ideal_of_k():
    assert ndcg_at_k(np.array([[True]]), np.array([2]), 10) == pytest.approx([1 / (1 + 1 / np.log2(3))])


@pytest.mark.parametrize("metric", [recall_at_k, hit_rate_at_k, ndcg_at_k, mrr_at_k])
def test_users_with_nothing_relevant_score_nan(metric):
    assert np.isnan(metric(np.zeros((1, 4), dtype=bool), NOTHING, 3)).all()


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 5), st.integers(1, 15))
def test_metrics_lie_between_zero_and_one(places, missed, k):
    hits = np.array([places])
    n_relevant = np.array([max(hits.sum() + missed, 1)])
    for metric in (recall_at_k, hit_rate_at_k, ndcg_at_k, mrr_at_k):
        assert 0 <= metric(hits, n_relevant, k)[0] <= 1 + 1e-12


@given(st.lists(st.booleans(), min_size=2, max_size=12), st.data())
def test_moving_a_hit_up_never_lowers_ndcg(places, data):
    at = data.draw(st.integers(1, len(places) - 1))
    better = [*places]
    if places[at] and not places[at - 1]:
        better[at - 1], better[at] = True, False
    before, after = (
        ndcg_at_k(np.array([row]), np.array([max(sum(row), 1)]), 10)[0] for row in (places, better)
    )
    assert after >= before - 1e-12


def test_coverage_counts_items_once_and_padding_never():
    assert coverage(np.array([[0, 1], [1, PAD]]), 4) == 0.5


def test_novelty_is_in_bits():
    assert novelty(np.array([[0, 1]]), np.array([3, 1])) == pytest.approx([(np.log2(4 / 3) + 2) / 2])


def test_an_item_nobody_met_is_as_novel_as_one_met_once():
    popularity = np.array([3, 1, 0])
    assert novelty(np.array([[2]]), popularity) == novelty(np.array([[1]]), popularity)


def test_a_list_of_one_category_has_no_diversity():
    assert intra_list_diversity(np.array([[0, 1]]), np.array([[1.0, 0], [2.0, 0]])) == pytest.approx([0])


def test_items_without_a_category_in_common_are_as_diverse_as_can_be():
    assert intra_list_diversity(np.array([[0, 1]]), np.eye(2)) == pytest.approx([1])


def test_diversity_is_one_minus_the_mean_over_pairs():
    assert intra_list_diversity(np.array([[0, 1, 2, PAD]]), np.array([[1.0, 0], [1.0, 0], [0, 1.0]])) == (
        pytest.approx([2 / 3])
    )


def test_a_list_of_one_item_has_no_pairs():
    assert np.isnan(intra_list_diversity(np.array([[0, PAD]]), np.eye(2))).all()


def test_share_of_leaves_padding_out():
    marked = np.array([True, False])
    assert share_of(np.array([[0, 1, PAD], [1, 0, 0]]), marked) == pytest.approx([1 / 2, 2 / 3])


def test_share_of_an_empty_list_is_nan():
    assert np.isnan(share_of(np.array([[PAD]]), np.array([True]))).all()


def test_auc_counts_ties_half():
    assert auc(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0])) == 0.75


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_in_order(examples):
    scores, labels = (np.array(column) for column in zip(*examples, strict=True))
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    assert auc(scores, labels) == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)


def test_gauc_weighs_users_by_their_examples_and_skips_those_of_one_class():
    scores = np.array([2.0, 1.0, 1.0, 2.0, 0.0, 5.0])
    labels = np.array([1, 0, 1, 0, 0, 1])
    groups = np.array([0, 0, 1, 1, 1, 2])
    assert gauc(scores, labels, groups) == pytest.approx((2 * 1 + 3 * 0.5) / 5)


def test_log_loss_of_a_coin_is_ln_two():
    assert log_loss(np.array([0.5, 0.5]), np.array([0, 1])) == pytest.approx(np.log(2))


def test_log_loss_of_a_sure_mistake_is_finite():
    assert np.isfinite(log_loss(np.array([0.0]), np.array([1])))


def test_calibration_error_is_the_gap_between_said_and_seen():
    assert calibration_error(np.full(100, 0.3), np.repeat([0, 1], 50), bins=1) == pytest.approx(0.2)


def test_bootstrap_is_the_same_for_the_same_seed():
    values = np.random.default_rng(0).random(50)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_bootstrap_leaves_nan_out():
    assert bootstrap(np.array([0.5, np.nan, 0.5]), seed=0) == (0.5, 0.5)


def test_bootstrap_has_the_width_of_the_normal_interval():
    values = np.random.default_rng(0).normal(size=2000)
    low, high = bootstrap(values, seed=1)
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(2000), rel=0.1)
