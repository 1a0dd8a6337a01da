import numpy as np
import pytest

from recsys.metrics import recall_at_k
from recsys.recall.merge import KNOTS, merge
from recsys.recall.merge_training import learn_gains, learn_quotas
from recsys.types import PAD, Candidates

N, WIDTH, N_ITEMS = 300, 40, 200


def told(rng: np.random.Generator, relevant: np.ndarray, share: float) -> Candidates:
    """Lists that have their user's relevant item somewhere in the first 5 places, for a share of users."""
    items = np.array([rng.permutation(np.delete(np.arange(N_ITEMS), each))[:WIDTH] for each in relevant])
    hit = np.flatnonzero(rng.random(N) < share)
    items[hit, rng.integers(0, 5, len(hit))] = relevant[hit]
    return Candidates(items, np.tile(-np.arange(WIDTH, dtype=np.float32), (N, 1)))


@pytest.fixture(scope="module")
def situation():
    rng = np.random.default_rng(0)
    relevant = rng.integers(0, N_ITEMS, N)
    found = {
        "good": told(rng, relevant, 0.6),
        "fair": told(rng, relevant, 0.3),
        "blind": told(rng, relevant, 0),
    }
    return found, {name: each.items == relevant[:, None] for name, each in found.items()}, relevant


def test_a_channel_counts_as_much_as_it_tells(situation):
    found, hits, _ = situation
    gains = learn_gains(found, hits)
    assert gains["good"][0] > gains["fair"][0] > 0.5
    assert max(gains["blind"]) < 0.1
    assert gains["good"][1] > 2 * gains["good"][4] >= 0  # rank 2 against rank 16


def test_gains_never_rise_with_the_rank_and_are_never_negative(situation):
    found, hits, _ = situation
    for each in learn_gains(found, hits, regularization=0.1).values():
        assert len(each) == len(KNOTS)
        assert (np.diff(each) <= 0).all()
        assert min(each) >= 0


def test_by_learned_gains_more_is_found_than_by_reciprocal_ranks(situation):
    found, hits, relevant = situation
    lists = merge(found, 5, "learned", learn_gains(found, hits)), merge(found, 5)
    learned, plain = (recall_at_k(each.items == relevant[:, None], np.ones(N), 5).mean() for each in lists)
    assert learned > plain


def test_without_a_hit_there_is_nothing_to_learn(situation):
    found, hits, _ = situation
    nothing = {name: np.zeros_like(each) for name, each in hits.items()}
    assert learn_gains(found, nothing) == {name: [0.0] * len(KNOTS) for name in found}


def test_padding_is_no_candidate(situation):
    found, hits, _ = situation
    padded = {
        name: Candidates(
            np.pad(c.items, ((0, 0), (0, 9)), constant_values=PAD), np.pad(c.scores, ((0, 0), (0, 9)))
        )
        for name, c in found.items()
    }
    wider = {name: np.pad(each, ((0, 0), (0, 9))) for name, each in hits.items()}
    assert learn_gains(padded, wider) == learn_gains(found, hits)


def test_a_channel_is_asked_for_as_many_as_bring_something(situation):
    found, hits, _ = situation
    found, hits = {**found, "again": found["good"]}, {**hits, "again": hits["good"]}
    quotas = learn_quotas(found, hits, 20, step=5)
    assert quotas["good"] >= quotas["fair"] == 5
    assert quotas["blind"] == quotas["again"] == 0


def test_quotas_end_where_the_lists_do(situation):
    found, hits, _ = situation
    assert learn_quotas(found, hits, 10 * WIDTH) == dict.fromkeys(found, WIDTH)


def test_with_quotas_so_many_different_candidates_are_left(situation):
    found, hits, _ = situation
    quotas = learn_quotas(found, hits, 30, step=5)
    merged = merge({name: each.top(quotas[name]) for name, each in found.items() if quotas[name]}, 100)
    assert 30 <= (merged.items != PAD).sum(axis=1).mean() < 35
