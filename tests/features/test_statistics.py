import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.features.numeric import wilson
from recsys.features.statistics import Statistics
from recsys.features.values import FeatureError
from recsys.types import DAY, PAD, Interactions

N_USERS, N_ITEMS = 3, 4


def interactions(rows):
    rows = sorted(rows, key=lambda row: row[2])
    users, items, timestamps, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    value = np.array(values, dtype=np.float32)
    return Interactions(
        user_idx=np.array(users, dtype=np.int32),
        item_idx=np.array(items, dtype=np.int32),
        timestamp=np.array(timestamps, dtype=np.int64),
        value=value,
        labels={"liked": (value >= 4).astype(np.float32)},
        n_users=N_USERS,
        n_items=N_ITEMS,
        observed={"price": np.where(value == 1, np.nan, 10 * value).astype(np.float32)},
    )


def by_hand(train, by, key, moment):
    of_key = (train.item_idx if by == "item" else train.user_idx) == key
    past = train[of_key & (train.timestamp < moment)]
    n = len(past)
    return {
        f"{by}_count": n,
        f"{by}_count_7d": (past.timestamp >= moment - 7 * DAY).sum(),
        f"{by}_count_30d": (past.timestamp >= moment - 30 * DAY).sum(),
        f"{by}_value_mean": past.value.mean() if n else np.nan,
        f"{by}_liked_rate": wilson(past.labels["liked"].sum(), np.array(n)),
        f"{by}_since_first": moment - past.timestamp.min() if n else np.nan,
        f"{by}_since_last": moment - past.timestamp.max() if n else np.nan,
        **(prices(past, moment) if by == "item" else {}),
    }


def prices(past, moment):
    """Means of those that were told, ever and lately."""
    spans = {"mean": moment, "mean_7d": 7 * DAY, "mean_30d": 30 * DAY}
    told = {
        name: past.observed["price"][past.timestamp >= moment - seconds] for name, seconds in spans.items()
    }
    return {
        f"item_price_{name}": each[~np.isnan(each)].mean() if (~np.isnan(each)).any() else np.nan
        for name, each in told.items()
    }


MOMENTS = st.integers(0, 40).map(lambda tenth: 10**9 + tenth * DAY)
ROWS = st.lists(
    st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), MOMENTS, st.integers(1, 5)),
    max_size=30,
)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from(["item", "user"]), st.lists(st.tuples(st.integers(0, 2), MOMENTS), min_size=1))
def test_statistics_are_those_of_a_filter_on_the_past(rows, by, asked):
    train = interactions(rows)
    keys, moments = map(np.array, zip(*asked, strict=True))
    got = Statistics.fit(train, by=by).at(keys, moments)
    for place, (key, moment) in enumerate(asked):
        one = {name: column[place] for name, column in got.items()}
        assert one == pytest.approx(by_hand(train, by, key, moment), rel=1e-5, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(ROWS, MOMENTS)
def test_what_happens_at_or_after_the_moment_changes_nothing(rows, moment):
    train = interactions(rows)
    keys = np.arange(N_ITEMS)
    whole, past = (Statistics.fit(part).at(keys, moment) for part in (train, train[train.timestamp < moment]))
    for name in whole:
        np.testing.assert_array_equal(whole[name], past[name])


TRAIN = interactions([(0, 1, 10 * DAY, 5), (1, 1, 12 * DAY, 2), (2, 3, 12 * DAY, 4), (0, 1, 40 * DAY, 5)])


def test_the_moments_own_second_does_not_count():
    counts = Statistics.fit(TRAIN).at(np.array([1, 1]), np.array([12 * DAY, 12 * DAY + 1]))["item_count"]
    assert counts.tolist() == [1, 2]


def test_every_item_can_be_asked_at_one_moment():
    assert Statistics.fit(TRAIN).at(np.arange(N_ITEMS), 41 * DAY)["item_count"].tolist() == [0, 3, 0, 1]


def test_windows_count_in_days():
    got = Statistics.fit(TRAIN, windows=(1, 29)).at(np.array([1]), 41 * DAY)
    assert (got["item_count_1d"].tolist(), got["item_count_29d"].tolist()) == ([1], [2])


def test_an_unknown_key_has_no_past():
    got = Statistics.fit(TRAIN, by="user").at(np.array([PAD]), 50 * DAY)
    assert got["user_count"].tolist() == got["user_count_7d"].tolist() == [0]
    assert np.isnan(got["user_since_last"]).all()


def test_a_task_that_is_no_rate_is_left_out():
    numeric = Interactions(**{**vars(TRAIN), "labels": {"minutes": TRAIN.value}})
    assert not any("rate" in name for name in Statistics.fit(numeric).names)


@pytest.mark.parametrize("by", ["item", "user"])
def test_saving_changes_nothing(tmp_path, by):
    statistics = Statistics.fit(TRAIN, by=by, windows=(3,))
    statistics.save(tmp_path / "saved.npz")
    restored = Statistics.load(tmp_path / "saved.npz")
    before, after = (each.at(np.array([0, 2, PAD]), 41 * DAY) for each in (statistics, restored))
    assert list(before) == list(after) == list(statistics.names)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_statistics_are_of_items_or_users():
    with pytest.raises(FeatureError, match="not by 'shop'"):
        Statistics.fit(TRAIN, by="shop")
