"""Skip-gram vectors, and the two channels that are made of them."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from recsys.recall.graph import GraphRecall
from recsys.recall.item2vec import Item2VecRecall
from recsys.recall.skip_gram import LONGEST, skip_gram
from recsys.types import Interactions, Requests

SETTINGS: dict[str, Any] = {
    "embedding_dim": 8,
    "window": 2,
    "negatives": 5,
    "exponent": 0.75,
    "epochs": 20,
    "learning_rate": 0.05,
    "seed": 0,
}


def two_rings(n: int = 200) -> list[np.ndarray]:
    """Sequences go round among items 0 to 4 or 5 to 9; item 10 stands nowhere."""
    rng = np.random.default_rng(0)
    return [(rng.integers(5) + np.arange(10)) % 5 + 5 * (number % 2) for number in range(n)]


def trained(**settings: Any) -> tuple[np.ndarray, np.ndarray]:
    return skip_gram(two_rings(), 11, **{**SETTINGS, **settings})


def test_items_of_the_same_sequences_expect_each_other():
    own, neighbours = trained(window=4)
    products = own[:10] @ neighbours[:10].T
    others = ~np.eye(5, dtype=bool)
    assert products[:5, :5][others].min() > products[:5, 5:].max()


def test_the_product_with_a_neighbour_tells_who_stands_beside():
    # In a ring of five with a window of one, 0 stands beside 4 and 1, and 2 and 3 in the places that 0 could.
    own, neighbours = trained(window=1)
    products = own[0] @ neighbours[:10].T
    assert set(np.argsort(-products)[:2]) == {1, 4}


def test_the_exponent_is_how_much_the_frequent_are_held_back():
    often = [np.array([0, 1])] * 30 + [np.array([0, 2])] * 3 + [np.array([1, 3])] * 30
    last = []
    for exponent in (0.0, 1.0):
        own, neighbours = skip_gram(often, 4, **{**SETTINGS, "exponent": exponent})
        products = own[0] @ neighbours.T
        last.append(products[1] - products[2])
    assert last[0] > last[1]


def test_an_item_in_no_sequence_has_no_vector():
    for vectors in trained():
        assert np.array_equal(vectors.any(axis=1), np.arange(11) < 10)


def test_the_seed_decides():
    one, again, other = trained(), trained(), trained(seed=1)
    assert all(map(np.array_equal, one, again))
    assert not any(map(np.array_equal, one, other))


def test_the_same_in_every_process():
    code = "from tests.recall.test_skip_gram import trained; print(trained()[1].tobytes().hex())"
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {trained()[1].tobytes().hex()}


def test_no_sequence_no_vectors():
    assert not np.any(skip_gram([], 3, **SETTINGS))


def test_what_is_longer_than_gensim_reads_is_read_too():
    long = np.repeat(np.arange(2), [LONGEST, 4])
    assert skip_gram([long], 2, **SETTINGS)[0][1].any()


def interactions() -> Interactions:
    rows = two_rings()
    items = np.concatenate(rows).astype(np.int32)
    n = len(items)
    users = np.repeat(np.arange(len(rows), dtype=np.int32), 10)
    return Interactions(users, items, np.arange(n), np.ones(n, np.float32), {}, len(rows), 11)


@pytest.mark.parametrize("kind", [Item2VecRecall, GraphRecall])
def test_a_user_is_answered_with_items_of_the_same_ring(kind: type[Item2VecRecall | GraphRecall]):
    channel = kind(embedding_dim=8, window=2, epochs=5, learning_rate=0.05)
    train = interactions()
    one = Interactions(
        *(each[:2] for each in (train.user_idx, train.item_idx, train.timestamp, train.value)), {}, 1, 11
    )
    found = channel.fit(train).recall(Requests.of(np.array([0]), one, 10), 3).items[0]
    assert set(found // 5) == set(one.item_idx // 5)


def test_walks_reach_what_nobody_met_together():
    # 0 and 2 were each met beside 1, 5 and 7 each beside 6, never by the same user.
    pairs = [[0, 1], [1, 2], [5, 6], [6, 7]] * 20
    users = np.repeat(np.arange(len(pairs), dtype=np.int32), 2)
    items, n = np.concatenate(pairs).astype(np.int32), 2 * len(pairs)
    train = Interactions(users, items, np.arange(n), np.ones(n, np.float32), {}, len(pairs), 8)
    channel = GraphRecall(embedding_dim=8, window=2, epochs=5, learning_rate=0.05)
    assert set(channel.fit(train).similar(np.array([0]), 2).items[0]) == {1, 2}


@pytest.mark.parametrize("params", [{"p": 0}, {"q": -1}])
def test_walks_that_cannot_be_are_refused(params: dict[str, float]):
    with pytest.raises(ValueError, match="must be above 0"):
        GraphRecall(**params)
