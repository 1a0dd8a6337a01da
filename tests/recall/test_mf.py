from dataclasses import replace

import numpy as np

from recsys.recall.mf import MfRecall
from recsys.types import PAD, Interactions, Requests


def blocks(n_users: int = 40, n_items: int = 20) -> Interactions:
    """Even users meet items below 8, odd ones items from 8 to 15; the last four nobody."""
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.permutation(8)[:5] + 8 * (user % 2) for user in range(n_users)])
    n = len(items)
    users = np.repeat(np.arange(n_users, dtype=np.int32), 5)
    return Interactions(
        users, items.astype(np.int32), np.arange(n), np.ones(n, np.float32), {}, n_users, n_items
    )


def test_recommends_within_the_users_block():
    train = blocks()
    found = (
        MfRecall(regularization=0.01, factors=4).fit(train).recall(Requests.of(np.arange(40), train, 0), 1)
    )
    assert (found.items // 8 == (np.arange(40) % 2)[:, None]).all()


def test_an_item_nobody_met_is_never_recalled():
    train = blocks()
    found = (
        MfRecall(regularization=0.01, factors=4).fit(train).recall(Requests.of(np.arange(40), train, 0), 20)
    )
    assert found.items.max() < 16


def test_two_fits_with_one_seed_are_the_same():
    one, other = (
        MfRecall(regularization=0.01, factors=4, seed=3).fit(blocks()),
        MfRecall(regularization=0.01, factors=4, seed=3).fit(blocks()),
    )
    assert np.array_equal(one.user_factors_, other.user_factors_)
    assert np.array_equal(one.item_factors_, other.item_factors_)


def test_scores_are_products_of_factors():
    train = blocks()
    channel = MfRecall(regularization=0.01, factors=4).fit(train)
    found = channel.recall(Requests.of(np.array([7]), train, 0), 3)
    exact = channel.item_factors_[found.items[0]] @ channel.user_factors_[7]
    assert np.allclose(found.scores[0], exact, atol=1e-6)


def test_an_index_finds_what_comparing_all_finds(tmp_path):
    rng, n = np.random.default_rng(0), 6000
    users, items = rng.integers(300, size=n).astype(np.int32), rng.integers(200, size=n).astype(np.int32)
    train = Interactions(users, items, np.arange(n), np.ones(n, np.float32), {}, 300, 200)
    flat, hnsw = (MfRecall(factors=8, ann=kind).fit(train) for kind in ("flat", "hnsw"))
    asked = Requests.of(np.arange(300), train, 0)
    every, found = flat.recall(asked, 10).items, hnsw.recall(asked, 10).items
    assert np.mean([np.isin(mine, best).mean() for mine, best in zip(found, every, strict=True)]) > 0.95
    hnsw.save(tmp_path)
    loaded = MfRecall.load(tmp_path)
    assert loaded.search_.index is not None
    np.testing.assert_array_equal(loaded.recall(asked, 10).items, found)


def test_only_who_goes_from_users_to_items_has_an_index(tmp_path):
    MfRecall(factors=4, by="i2i", ann="hnsw").fit(blocks()).save(tmp_path)
    assert not (tmp_path / "index.faiss").exists()
    assert MfRecall.load(tmp_path).search_.index is None


def test_similar_items_are_of_the_block_and_never_the_item_itself():
    found = MfRecall(regularization=0.01, factors=4).fit(blocks()).similar(np.arange(16), 5)
    assert (found.items // 8 == (np.arange(16) // 8)[:, None]).all()
    assert (found.items != np.arange(16)[:, None]).all()


def test_similar_to_the_unknown_and_the_never_met_is_nothing():
    train = blocks()
    whole = replace(train, item_idx=train.item_idx + 4)  # the last item is met, the first is not
    for past, unmet in ((train, 19), (whole, 0)):
        found = MfRecall(regularization=0.01, factors=4).fit(past).similar(np.array([PAD, unmet]), 3)
        assert (found.items == PAD).all()
