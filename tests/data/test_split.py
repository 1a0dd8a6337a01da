import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recsys.data.report import DataError
from recsys.data.split import PARTS, GlobalTime, LeaveLastOut, make_splits, warmth
from recsys.types import DAY, Interactions

FOLDS = PARTS[1:]


def interactions(rows):
    """Of (user, item, timestamp) rows, put in the order of time."""
    table = np.array(sorted(rows, key=lambda row: row[2]), dtype=np.int64).reshape(-1, 3)
    user, item = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32)
    value = np.ones(len(table), dtype=np.float32)
    return Interactions(user, item, table[:, 2], value, {}, n_users=8, n_items=9)


some = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 8), st.integers(1, 30)), min_size=1, max_size=80)
splits = st.sampled_from(
    [
        GlobalTime(),
        GlobalTime(late=0.2, valid=0.3, test=0.1),
        GlobalTime(late=0.2, valid=2, test=1),
        LeaveLastOut(),
        LeaveLastOut(late=3),
    ]
)


@given(rows=some, split=splits)
@settings(deadline=None)
def test_a_users_parts_never_go_back_in_time(rows, split):
    inter = interactions(rows)
    parts = split.parts(inter)
    for user in range(inter.n_users):
        assert (np.diff(parts[inter.user_idx == user]) >= 0).all()


@given(rows=some, split=st.sampled_from([GlobalTime(), GlobalTime(late=0.3, valid=0.3, test=0.3)]))
@settings(deadline=None)
def test_global_time_never_parts_one_moment(rows, split):
    inter = interactions(rows)
    parts = split.parts(inter)
    for moment in np.unique(inter.timestamp):
        assert len(np.unique(parts[inter.timestamp == moment])) == 1


@given(rows=some, split=splits, name=st.sampled_from(FOLDS), most=st.integers(1, 8))
@settings(deadline=None)
def test_at_most_so_many_users_are_asked_and_those_as_before(rows, split, name, most):
    try:
        whole = split.fold(interactions(rows), name)
    except DataError:
        return
    part = split.model_copy(update={"users": most}).fold(interactions(rows), name)
    assert len(part.users) == min(most, len(whole.users))
    kept = np.isin(whole.users, part.users)
    assert (part.now == whole.now[kept]).all()
    assert (part.past.item_idx == whole.past.item_idx).all()
    mine = np.isin(whole.future.user_idx, part.users)
    assert (part.future.item_idx == whole.future.item_idx[mine]).all()
    assert (part.requests().history.lengths == whole.requests(kept).history.lengths).all()


@given(rows=some, split=splits, name=st.sampled_from(FOLDS))
@example(rows=[(0, 0, 4), *[(1, 0, 3)] * 4], split=LeaveLastOut(), name="late")  # all but one of one moment
@settings(deadline=None)
def test_no_request_knows_what_comes_after_it(rows, split, name):
    try:
        fold = split.fold(interactions(rows), name)
    except DataError:
        return
    requests = fold.requests()
    history, position = requests.history.flat()
    assert (requests.history.timestamps[position] <= requests.now[history]).all()
    first = [fold.future.timestamp[fold.future.user_idx == user].min() for user in fold.users]
    nobody_knows_when = len(set(fold.past.timestamp) | set(fold.future.timestamp)) == 1
    assert (requests.now <= np.array(first) + nobody_knows_when).all()


def test_days_are_counted_back_from_the_newest():
    at = [0, 10, DAY, DAY + 5, 3 * DAY - 1, 3 * DAY, 3 * DAY + 7]
    inter = interactions([(0, item, moment) for item, moment in enumerate(at)])
    parts = GlobalTime(late=1, valid=1, test=1).parts(inter)
    assert [PARTS[part] for part in parts] == ["early", "early", "late", "late", "valid", "test", "test"]


def test_shares_and_days_may_stand_beside_each_other():
    inter = interactions([(0, 0, moment) for moment in range(8)] + [(0, 0, 2 * DAY), (0, 0, 2 * DAY + 1)])
    parts = GlobalTime(late=0.2, valid=0.3, test=1).parts(inter)
    assert [PARTS[part] for part in parts] == [*["early"] * 3, *["late"] * 2, *["valid"] * 3, *["test"] * 2]


@given(rows=some, name=st.sampled_from(FOLDS))
@settings(deadline=None)
def test_global_time_has_all_past_before_all_future(rows, name):
    try:
        fold = GlobalTime().fold(interactions(rows), name)
    except DataError:
        return
    assert fold.past.timestamp.max() < fold.future.timestamp.min()


def test_global_time_cuts_by_shares_of_the_rows():
    inter = interactions([(0, 0, moment) for moment in range(1, 101)])
    parts = GlobalTime(late=0.1, valid=0.2, test=0.3).parts(inter)
    assert np.bincount(parts).tolist() == [40, 10, 20, 30]


def test_global_time_asks_one_second_after_the_newest_past():
    inter = interactions([(moment % 2, 0, 10 * moment) for moment in range(1, 11)])
    fold = GlobalTime().fold(inter, "test")
    assert (fold.past.timestamp.max(), fold.now.tolist()) == (90, [91])


def test_leave_last_out_takes_the_last_the_one_before_and_the_late_ones():
    inter = interactions([(0, 0, moment) for moment in range(1, 7)])
    assert LeaveLastOut(late=2).parts(inter).tolist() == [0, 0, 1, 1, 2, 3]


def test_leave_last_out_leaves_short_histories_early():
    inter = interactions(
        [(0, 0, moment) for moment in (1, 2, 3)] + [(1, 0, moment) for moment in (1, 2, 3, 4)]
    )
    parts = LeaveLastOut().parts(inter)
    assert parts[inter.user_idx == 0].tolist() == [0, 0, 0]
    assert parts[inter.user_idx == 1].tolist() == [0, 1, 2, 3]


def test_leave_last_out_asks_at_the_users_first_future_moment():
    inter = interactions([(0, 0, m) for m in (1, 2, 3, 4, 5)] + [(3, 0, m) for m in (11, 12, 13, 14, 15)])
    fold = LeaveLastOut(late=2).fold(inter, "late")
    assert (fold.users.tolist(), fold.now.tolist()) == ([0, 3], [2, 12])


def test_each_fold_learns_from_all_before_it(dataset):
    for split in dataset.splits:
        late, valid, test = (dataset.fold(split, name) for name in FOLDS)
        assert len(late.past) + len(late.future) == len(valid.past)
        assert len(valid.past) + len(valid.future) == len(test.past)
        assert len(test.past) + len(test.future) == len(dataset.interactions)


def test_users_are_all_with_a_future_and_hot_if_with_a_past():
    inter = interactions([(0, 0, moment) for moment in range(1, 10)] + [(5, 0, 10)])
    fold = GlobalTime().fold(inter, "test")
    assert (fold.users.tolist(), fold.hot.tolist()) == ([5], [False])


def test_tied_users_go_on_in_the_second_of_their_last():
    inter = interactions([(0, 0, m) for m in (1, 2, 3, 3)] + [(1, 0, m) for m in (1, 2, 3, 4)])
    assert LeaveLastOut().fold(inter, "test").tied.tolist() == [True, False]


def test_requests_of_some_users_are_rows_of_those_of_all(dataset):
    fold = dataset.fold("leave_last_out", "valid")
    some, every = fold.requests(slice(3, 5)), fold.requests()
    assert np.array_equal(some.users, every.users[3:5])
    assert np.array_equal(some.history.last(4)[0], every.history.last(4)[0][3:5])


@pytest.mark.parametrize("name", FOLDS)
@pytest.mark.parametrize("split", [GlobalTime(), LeaveLastOut()])
def test_too_little_for_a_fold_is_told(split, name):
    with pytest.raises(DataError, match=f"split {split.name}: fold '{name}' has no (past|future)"):
        split.fold(interactions([(0, 0, 5), (0, 1, 5)]), name)


def test_no_interactions_have_no_parts():
    assert len(GlobalTime().parts(interactions([]))) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"random": {}}, "there is no split 'random'"),
        ({"global_time": {"tset": 0.1}}, r"splits\.global_time\.tset: Extra inputs"),
        ({"global_time": {"test": 0.9}}, r"splits\.global_time: late, valid and test together leave nothing"),
        ({"leave_last_out": {"late": 0}}, r"splits\.leave_last_out\.late: .*greater than or equal to 1"),
    ],
)
def test_wrong_parameters_are_named(given, message):
    with pytest.raises(DataError, match=message):
        make_splits(given)


def test_hot_has_interactions_warm_only_features_and_cold_neither():
    met, described = np.array([2, 2, 0, 0]), np.array([True, False, True, False])
    assert warmth(met, described).tolist() == ["hot", "hot", "warm", "cold"]
