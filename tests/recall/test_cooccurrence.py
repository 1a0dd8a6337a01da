"""The kernels against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from implicit.nearest_neighbours import CosineRecommender

from recsys.recall import cooccurrence
from recsys.recall.cooccurrence import Sequences, Similarity, weighed_by_distance, weighed_by_middle
from recsys.types import DAY, Interactions


def random_train(seed: int, n_users: int = 30, n_items: int = 20, n: int = 200) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        user_idx=rng.integers(0, n_users, n).astype(np.int32),
        item_idx=(n_items * rng.random(n) ** 2).astype(np.int32),
        timestamp=np.sort(rng.integers(0, 50 * DAY, n)),
        value=np.ones(n, dtype=np.float32),
        labels={},
        n_users=n_users,
        n_items=n_items,
    )


def dense(items: np.ndarray, similarities: np.ndarray) -> np.ndarray:
    """The table as a square matrix."""
    matrix = np.zeros((len(items), len(items)))
    rows, columns = np.nonzero(items >= 0)
    matrix[rows, items[rows, columns]] = similarities[rows, columns]
    return matrix


def cosine(train: Interactions, k: int) -> tuple[np.ndarray, np.ndarray]:
    sequences = Sequences.of(train)
    degrees = np.bincount(sequences.items, minlength=train.n_items)
    back = (sequences.offsets[:-1], sequences.offsets[1:], sequences.items)
    return weighed_by_middle(
        sequences.users_by_item, np.ones(train.n_users), back, Similarity(degrees, 0.5), k
    )


def by_loops(
    train: Interactions, weight: np.ndarray, time_decay: float, step_decay: float, backward: float
) -> np.ndarray:
    """Sums of `weighed_by_distance`, pair after pair."""
    sequences = Sequences.of(train)
    total = np.zeros((train.n_items, train.n_items))
    for user in range(train.n_users):
        rows = range(sequences.offsets[user], sequences.offsets[user + 1])
        for here in rows:
            for there in rows:
                days = abs(sequences.timestamps[here] - sequences.timestamps[there]) / DAY
                amount = weight[user] * np.exp(-time_decay * days - step_decay * abs(here - there))
                amount *= backward if there < here else 1
                total[sequences.items[here], sequences.items[there]] += amount
    np.fill_diagonal(total, 0)
    return total


@pytest.mark.filterwarnings("ignore:Method expects CSR input")
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 600))
def test_weights_off_equal_implicits_cosine(seed: int, n: int):
    train = random_train(seed, n=n)
    implicit = CosineRecommender(K=train.n_items, num_threads=1)
    implicit.fit(train.matrix().tocsr(), show_progress=False)
    theirs = implicit.similarity.toarray()
    np.fill_diagonal(theirs, 0)
    assert dense(*cosine(train, train.n_items)) == pytest.approx(theirs, abs=1e-5)


def test_top_k_are_the_best_of_all_and_equal_ones_by_row_number():
    train = random_train(3)
    everything = dense(*cosine(train, train.n_items)).astype(np.float32)
    items, similarities = cosine(train, 4)
    for row, all_of_row in enumerate(everything):
        order = np.lexsort((np.arange(train.n_items), -all_of_row))[:4]
        order = order[all_of_row[order] > 0]
        assert items[row][: len(order)].tolist() == order.tolist()
        assert similarities[row][: len(order)].tolist() == all_of_row[order].tolist()


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    time_decay=st.sampled_from([0.0, 0.05, 1.0]),
    step_decay=st.sampled_from([0.0, 0.01, 0.5]),
    backward=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_distance_weights_equal_plain_loops(seed: int, time_decay: float, step_decay: float, backward: float):
    train = random_train(seed)
    weight = np.random.default_rng(seed).random(train.n_users) + 0.1
    got = weighed_by_distance(
        Sequences.of(train),
        weight,
        time_decay,
        step_decay,
        backward,
        Similarity(np.ones(train.n_items), 0.0),
        train.n_items,
    )
    assert dense(*got) == pytest.approx(
        by_loops(train, weight, time_decay, step_decay, backward), rel=0.01, abs=1e-5
    )


def test_sparse_rows_of_a_wide_table_equal_dense_ones():
    # Rows with few pairs are collected by a list of what they touched, not by a scan.
    narrow = random_train(5, n=120)
    wide = Interactions(
        narrow.user_idx,
        narrow.item_idx,
        narrow.timestamp,
        narrow.value,
        {},
        narrow.n_users,
        n_items=100_000,
    )
    items, similarities = cosine(wide, 19)
    few, fewer = cosine(narrow, 19)
    assert np.array_equal(items[:20], few)
    assert np.array_equal(similarities[:20], fewer)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    train = random_train(7, n_items=200, n=2000)
    several = cosine(train, 20)
    monkeypatch.setattr(cooccurrence.os, "sched_getaffinity", lambda _: {0})
    alone = cosine(train, 20)
    assert np.array_equal(several[0], alone[0])
    assert np.array_equal(several[1], alone[1])


def test_sequences_keep_the_newest_of_repeats():
    train = Interactions(
        user_idx=np.array([1, 0, 1, 1], np.int32),
        item_idx=np.array([5, 5, 6, 5], np.int32),
        timestamp=np.array([10, 20, 30, 40]),
        value=np.ones(4, np.float32),
        labels={},
        n_users=3,
        n_items=7,
    )
    sequences = Sequences.of(train)
    assert sequences.offsets.tolist() == [0, 1, 3, 3]
    assert sequences.items.tolist() == [5, 6, 5]
    assert sequences.timestamps.tolist() == [20, 30, 40]


def test_last_keeps_each_users_newest():
    train = random_train(1)
    sequences = Sequences.of(train)
    last = sequences.last(2)
    for user in range(train.n_users):
        whole = sequences.items[sequences.offsets[user] : sequences.offsets[user + 1]]
        assert last.items[last.offsets[user] : last.offsets[user + 1]].tolist() == whole[-2:].tolist()


def test_a_weight_too_small_for_float32_counts_nothing():
    train = random_train(2)
    sequences = Sequences.of(train)
    back = (sequences.offsets[:-1], sequences.offsets[1:], sequences.items)
    items, _ = weighed_by_middle(
        sequences.users_by_item, np.full(train.n_users, 1e-60), back, Similarity(np.ones(20), 0.5), 5
    )
    assert (items == -1).all()


def test_a_time_decay_too_steep_for_the_span_is_refused():
    with pytest.raises(ValueError, match="is too steep for"):
        weighed_by_distance(
            Sequences.of(random_train(1)), np.ones(30), 1e6, 0.0, 1.0, Similarity(np.ones(20), 0.5), 5
        )
