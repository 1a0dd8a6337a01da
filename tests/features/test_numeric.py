import numpy as np
import pytest
from scipy import stats

from recsys.features.numeric import (
    DayOfWeek,
    MinMax,
    Power,
    Quantile,
    Robust,
    Standard,
    TimeOfDay,
    Uniform,
    Wilson,
    wilson,
    yeo_johnson,
)
from recsys.features.values import FeatureError

X = np.array([1.0, 2.0, 3.0, 10.0])
MONDAY = 345_600  # 1970-01-05 00:00 UTC
HOUR = 3_600


def test_quantile_buckets_hold_equal_counts():
    x = np.random.default_rng(0).lognormal(size=1000)
    ids = Quantile.fit(x, buckets=4).encode(x)
    assert np.bincount(ids).tolist() == [0, 250, 250, 250, 250]


def test_quantile_of_ties_has_fewer_buckets():
    assert Quantile.fit(np.array([5.0, 5, 5, 5, 9]), buckets=4).size == 3


def test_quantile_of_a_missing_number_is_unknown():
    assert Quantile.fit(X, buckets=2).encode(np.array([np.nan, np.inf])).tolist() == [0, 0]


def test_quantile_counts_an_edge_to_the_upper_bucket():
    encoder = Quantile.fit(np.array([0.0, 5, 9]), buckets=2)
    assert encoder.encode(np.array([4.9, 5.0])).tolist() == [1, 2]


def test_one_bucket_is_refused():
    with pytest.raises(FeatureError, match="at least 2"):
        Quantile.fit(X, buckets=1)


def test_standard_has_mean_0_and_deviation_1():
    z = Standard.fit(X).encode(X)
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=1e-6)


def test_min_max_holds_what_lies_beyond():
    assert MinMax.fit(X).encode(np.array([-5.0, 1, 10, 99])).ravel().tolist() == [0, 0, 1, 1]


def test_uniform_spreads_a_skewed_column_evenly():
    skewed = np.exp(np.random.default_rng(0).normal(size=10_000))
    spread = Uniform.fit(skewed).encode(skewed)[:, 0]
    assert np.histogram(spread, bins=4, range=(-1, 1))[0] == pytest.approx([2500] * 4, abs=60)


def test_uniform_holds_what_lies_beyond_train_at_the_ends():
    fitted = Uniform.fit(np.arange(100.0))
    assert fitted.encode(np.array([-5.0, 0, 99, 500]))[:, 0].tolist() == [-1, -1, 1, 1]


def test_uniform_puts_a_value_that_fills_several_buckets_amid_them():
    fitted = Uniform.fit(np.array([0.0] * 50 + [1.0] * 50), buckets=4)
    low, high = fitted.encode(np.array([0.0, 1.0]))[:, 0]
    assert -1 < low < 0 < high < 1


def test_robust_is_centred_on_the_median():
    assert Robust.fit(X).encode(np.array([2.5, 5.5])).ravel() == pytest.approx([0, 1])


@pytest.mark.parametrize("encoder", [Standard, MinMax, Robust, Power])
def test_a_missing_number_stands_at_the_median(encoder):
    fitted = encoder.fit(X)
    assert fitted.encode(np.array([np.nan])) == fitted.encode(np.array([2.5]))


@pytest.mark.parametrize("encoder", [Standard, MinMax, Robust, Power, Quantile])
@pytest.mark.parametrize("x", [np.full(3, 7.0), np.full(3, np.nan), np.zeros(0)])
def test_a_column_that_says_nothing_can_be_fitted(encoder, x):
    assert np.isfinite(encoder.fit(x).encode(np.array([7.0, np.nan]))).all()


@pytest.mark.parametrize("exponent", [-1.5, 0.0, 0.5, 1.0, 2.0, 3.0])
def test_yeo_johnson_is_scipys(exponent):
    x = np.array([-7.0, -1.0, -0.2, 0.0, 0.3, 1.0, 12.0])
    assert yeo_johnson(x, exponent) == pytest.approx(stats.yeojohnson(x, exponent))


def test_power_straightens_a_skewed_column():
    x = np.random.default_rng(0).lognormal(sigma=1.0, size=2000)
    assert abs(stats.skew(Power.fit(x).encode(x).ravel())) < 0.2 < stats.skew(x)


@pytest.mark.parametrize(("bound", "side"), [("lower", 0), ("upper", 1)])
def test_wilson_is_scipys(bound, side):
    k, n = np.array([0, 3, 10]), np.array([10, 10, 10])
    expected = [stats.binomtest(a, b).proportion_ci(0.95, "wilson")[side] for a, b in zip(k, n, strict=True)]
    assert wilson(k, n, bound, stats.norm.ppf(0.975)) == pytest.approx(expected)


@pytest.mark.parametrize(("bound", "expected"), [("lower", 0), ("upper", 1), ("centre", 0.5)])
def test_wilson_of_nothing_tried_knows_nothing(bound, expected):
    values = np.array([[0.0, 0.0], [np.nan, 5.0]])
    assert Wilson.fit(values, bound=bound).encode(values).ravel() == pytest.approx([expected] * 2)


def test_wilson_refuses_another_bound():
    with pytest.raises(FeatureError, match="bound must be"):
        Wilson.fit(np.zeros((1, 2)), bound="middle")


def test_time_of_day_is_the_hour():
    x = np.array([0, HOUR - 1, HOUR, 23 * HOUR, np.nan])
    assert TimeOfDay.fit(x).encode(x).tolist() == [1, 1, 2, 24, 0]


def test_time_of_day_moves_with_the_offset():
    assert TimeOfDay.fit(X, utc_offset=-1).encode(np.array([0])).tolist() == [24]


def test_day_of_week_starts_on_monday():
    x = np.array([MONDAY - 1, MONDAY, MONDAY + 86_400])
    assert DayOfWeek.fit(x).encode(x).tolist() == [7, 1, 2]


def test_a_cycle_closes():
    encoder = TimeOfDay.fit(X, cyclic=True)
    assert encoder.encode(np.array([0, 86_400 - 1])) == pytest.approx(np.array([[0, 1]] * 2), abs=1e-3)
