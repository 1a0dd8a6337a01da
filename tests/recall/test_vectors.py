"""Vectors compared, and the ways from a user to items over them."""

import numpy as np
import pytest

from recsys.recall.vectors import as_distances, as_products, nearest_others, neighbours
from recsys.types import PAD, Interactions, Requests

RNG = np.random.default_rng(0)
QUERIES = RNG.normal(size=(30, 6)).astype(np.float32)
VECTORS = (RNG.normal(size=(50, 6)) * RNG.uniform(0.2, 3, (50, 1))).astype(np.float32)


def distances(queries, vectors):
    return np.linalg.norm(queries[:, None] - vectors[None], axis=2)


def test_products_are_in_the_order_of_distances():
    queries, vectors = as_products(QUERIES, VECTORS, "euclid")
    expected = np.argsort(distances(QUERIES, VECTORS), axis=1)
    assert np.array_equal(np.argsort(-(queries @ vectors.T), axis=1), expected)


def test_products_are_cosines():
    queries, vectors = as_products(QUERIES, VECTORS, "cosine")
    assert (queries @ vectors.T)[3, 4] == pytest.approx(
        QUERIES[3] @ VECTORS[4] / np.linalg.norm(QUERIES[3]) / np.linalg.norm(VECTORS[4]), abs=1e-6
    )


def test_one_dimension_more_brings_distances_in_the_order_of_products():
    by_product = np.argsort(-(QUERIES @ VECTORS.T), axis=1)
    assert np.array_equal(np.argsort(distances(*as_distances(QUERIES, VECTORS)), axis=1), by_product)
    assert not np.array_equal(np.argsort(distances(QUERIES, VECTORS), axis=1), by_product)


def test_nearest_by_distance_are_told_with_their_likeness():
    found = nearest_others(VECTORS, np.array([7]), 3, "euclid")
    apart = distances(VECTORS[[7]], VECTORS)[0]
    expected = np.argsort(apart)[1:4]
    assert np.array_equal(found.items[0], expected)
    assert found.scores[0] == pytest.approx(1 / (1 + apart[expected]), abs=1e-4)


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclid"])
def test_a_row_of_zeros_is_near_to_none_and_none_to_it(measure):
    vectors = VECTORS.copy()
    vectors[5] = 0
    found = nearest_others(vectors, np.arange(50), 49, measure).items
    assert (found[5] == PAD).all()
    assert not (np.delete(found, 5, axis=0) == 5).any()


USERS = np.array([[1, 0], [0.9, 0.1], [0, 1], [0, 0]], np.float32)
ITEMS = np.array([[1, 0], [0.9, 0.2], [0.2, 0.9], [0, 1], [0, 0]], np.float32)
TRAIN = Interactions(
    user_idx=np.array([0, 1, 1, 2, 2], np.int32),
    item_idx=np.array([0, 1, 2, 3, 2], np.int32),
    timestamp=np.arange(5),
    value=np.ones(5, np.float32),
    labels={},
    n_users=4,
    n_items=5,
)


def tables(by, **params):
    params = {"measure": "cosine", "k_similar": 2, "n_last": 3, "decay": 1.0} | params
    return neighbours(by, USERS, ITEMS, TRAIN, **params)


def test_user_to_item_needs_no_tables():
    assert tables("u2i") is None


def test_items_similar_to_the_last_ones_are_summed():
    found = tables("i2i").recall(Requests.of(np.array([1]), TRAIN, 9), 5)
    near = (
        (ITEMS @ ITEMS.T)
        / np.linalg.norm(ITEMS + 1e-9, axis=1)
        / np.linalg.norm(ITEMS + 1e-9, axis=1)[:, None]
    )
    # User 1 met 2 last and 1 before: near to 2 are 3 and 1, near to 1 are 0 and 2.
    assert found.items[0].tolist() == [3, 0, PAD, PAD, PAD]
    assert found.scores[0, :2] == pytest.approx([near[2, 3], np.exp(-1) * near[1, 0]], abs=1e-5)


def test_what_similar_users_met_last_is_summed():
    found = tables("u2u").recall(Requests.of(np.array([0]), TRAIN, 9), 5)
    alike = (USERS[0] @ USERS[1]) / np.linalg.norm(USERS[1])
    # Only user 1 is like user 0, and met 2 last and 1 before.
    assert found.items[0].tolist() == [2, 1, PAD, PAD, PAD]
    assert found.scores[0, :2] == pytest.approx([alike, np.exp(-1) * alike], abs=1e-5)


def test_a_user_without_vector_is_like_nobody():
    assert (tables("u2u").recall(Requests.of(np.array([3, PAD]), TRAIN, 9), 5).items == PAD).all()


@pytest.mark.parametrize(("name", "value"), [("by", "i2u"), ("measure", "manhattan")])
def test_what_there_is_none_of_is_named(name, value):
    with pytest.raises(ValueError, match=rf"{name} '{value}' is none of \w+, \w+, \w+"):
        tables(**({"by": "u2u"} | {name: value}))
