import numpy as np
import pandas as pd
import pytest

from recsys.data.draw import draw, mix

IDS = pd.Index([f"{i}" for i in range(5000)], dtype=object)


def rank_correlation(a, b):
    return np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1]


def test_a_number_belongs_to_its_id_whatever_stands_beside_it():
    assert np.array_equal(draw(IDS[[7, 3]], seed=0), draw(IDS, seed=0)[[7, 3]])


def test_numbers_are_the_same_on_every_machine():
    assert draw(pd.Index(["a", "b"], dtype=object), seed=1).tolist() == [
        4656716019143093635,
        2465738395497892182,
    ]


def test_seeds_draw_apart():
    assert abs(rank_correlation(draw(IDS, 0), draw(IDS, 1))) < 0.05


def test_numbers_do_not_follow_the_ids():
    assert abs(rank_correlation(draw(IDS, 0), np.arange(len(IDS)))) < 0.05


def test_mixed_numbers_follow_none_of_their_parts():
    one, other = np.arange(5000, dtype=np.uint64), np.full(5000, 3, dtype=np.uint64)
    assert abs(rank_correlation(mix(one, other), one)) < 0.05
    assert abs(rank_correlation(mix(other, one), one)) < 0.05
    assert abs(rank_correlation(mix(one, other), mix(one, other + np.uint64(1)))) < 0.05


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        draw(IDS, -1)
