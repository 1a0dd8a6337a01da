"""Indexes against exact search."""

import numpy as np
import pytest

from recsys.artifacts import ArtifactError
from recsys.recall.ann import INDEX, Search
from recsys.types import PAD, Histories

N, D = 2000, 16
KINDS = ("ivf", "hnsw", "lsh", "pq")
RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(40, D))
UNIT = CENTRES[RNG.integers(0, 40, N)] + 0.4 * RNG.normal(size=(N, D))
UNIT = (UNIT / np.linalg.norm(UNIT, axis=1, keepdims=True)).astype(np.float32)
UNMET = np.array([3, 4, 1999])
UNIT[UNMET] = 0
LONG = UNIT * RNG.uniform(0.3, 3, (N, 1)).astype(np.float32)
QUERIES = UNIT[10:60] + 0.1 * RNG.normal(size=(50, D)).astype(np.float32)


def histories(seen=()):
    """Every query has met ``seen``."""
    items = np.array(seen, np.int32)
    ends = np.full(len(QUERIES), len(items))
    return Histories(items, np.zeros_like(items), np.ones(len(items)), np.zeros_like(ends), ends)


def share_found(found, exact):
    return np.mean([len(np.intersect1d(*rows)) / len(rows[0]) for rows in zip(exact, found, strict=True)])


@pytest.fixture(scope="module")
def searches():
    return {kind: Search.of(UNIT, UNMET, kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_most_of_what_exact_search_finds_is_found(searches, kind):
    exact = Search.of(UNIT, UNMET).best_unseen(QUERIES, histories(), 50).items
    assert share_found(searches[kind].best_unseen(QUERIES, histories(), 50).items, exact) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_of_many_lengths_are_found_by_product_too(kind):
    exact = Search.of(LONG, UNMET).best_unseen(QUERIES, histories(), 50).items
    assert share_found(Search.of(LONG, UNMET, kind).best_unseen(QUERIES, histories(), 50).items, exact) > 0.85


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_exact_products(searches, kind):
    found = searches[kind].best_unseen(QUERIES, histories(), 5)
    expected = np.einsum("nd,nkd->nk", QUERIES, UNIT[found.items])
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_seen_nor_unmet_items_are_found(searches, kind):
    found = searches[kind].best_unseen(QUERIES, histories(range(10, 60)), 300).items
    assert (found != PAD).all()
    assert not np.isin(found, [*range(10, 60), *UNMET]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_of_zeros_finds_nothing(searches, kind):
    assert (searches[kind].best_unseen(np.zeros_like(QUERIES), histories(), 5).items == PAD).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_query_as_among_many(searches, kind):
    together = searches[kind].best_unseen(QUERIES, histories(), 20)
    for row in range(5):
        alone = searches[kind].best_unseen(QUERIES[row : row + 1], histories()[row : row + 1], 20)
        assert np.array_equal(alone.items[0], together.items[row])
        assert np.array_equal(alone.scores[0], together.scores[row])


@pytest.mark.parametrize("kind", KINDS)
def test_more_effort_finds_more(kind):
    exact = Search.of(UNIT, UNMET).best_unseen(QUERIES, histories(), 300).items
    shares = []
    for effort in (1 / 16, 1):
        search = Search.of(UNIT, UNMET, kind)
        search = Search(search.vectors, search.unmet, search.met, kind, search.index, effort)
        shares.append(share_found(search.best_unseen(QUERIES, histories(), 300).items, exact))
    assert shares[0] <= shares[1]
    assert shares[1] > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_is_built_the_same_again_and_read_as_it_was_written(searches, kind, tmp_path):
    searches[kind].save(tmp_path / "one")
    Search.of(UNIT, UNMET, kind).save(tmp_path / "other")
    assert (tmp_path / "one" / INDEX).read_bytes() == (tmp_path / "other" / INDEX).read_bytes()
    assert searches[kind].bytes == (tmp_path / "one" / INDEX).stat().st_size
    loaded = Search.load(tmp_path / "one", UNIT, UNMET, kind).best_unseen(QUERIES, histories(), 20)
    assert np.array_equal(loaded.items, searches[kind].best_unseen(QUERIES, histories(), 20).items)


def test_exact_search_has_no_index_to_keep(tmp_path):
    search = Search.of(UNIT, UNMET)
    search.save(tmp_path)
    assert search.bytes == 0
    assert not list(tmp_path.iterdir())


def test_a_damaged_index_is_named(tmp_path):
    (tmp_path / INDEX).write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=INDEX):
        Search.load(tmp_path, UNIT, UNMET, "ivf")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 38, 39])
def test_small_catalogues_are_searched_too(kind, n):
    search = Search.of(UNIT[10 : 10 + n], np.zeros(0, np.int64), kind)
    assert (search.index is None) == (n < 39)
    found = search.best_unseen(QUERIES[:2], histories()[:2], 3).items
    assert ((found != PAD).sum(axis=1) == min(n, 3)).all()


def test_an_unknown_kind_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="ann 'tree' is none of flat, ivf, hnsw, lsh, pq"):
        Search.of(UNIT, UNMET, "tree")
