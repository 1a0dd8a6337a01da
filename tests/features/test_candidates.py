import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.features.candidates import CandidateFeatures
from recsys.features.spec import FeatureSpec
from recsys.recall import channel
from recsys.recall.merge import merge
from recsys.types import DAY, PAD, Interactions, MergedCandidates, Requests

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "genres": [["Drama"], ["Drama", "War"], ["War"], None],
        "year": [1990.0, 2000.0, np.nan, 1980.0],
    }
)
PAST = Interactions(
    user_idx=np.array([0, 1, 0], np.int32),
    item_idx=np.array([0, 0, 1], np.int32),
    timestamp=np.array([10, 20, 30]) * DAY,
    value=np.ones(3, np.float32),
    labels={"liked": np.array([1, 0, 1], np.float32)},
    n_users=3,
    n_items=4,
    observed={"discount": np.array([2, np.nan, 4], np.float32)},
)
NOW = 40 * DAY
FEATURES = CandidateFeatures.fit(PAST, ITEMS, "genres", (15,))


def requests(users, now=NOW, past=PAST):
    return Requests.of(np.asarray(users), past, now)


def found(items, ranks=None, scores=None):
    """What one channel, "swift", found."""
    items = np.asarray(items)
    ranks = np.where(items == PAD, PAD, np.arange(items.shape[1])) if ranks is None else np.asarray(ranks)
    scores = np.where(ranks == PAD, np.nan, 10.0 - ranks) if scores is None else np.asarray(scores)
    return MergedCandidates(
        ("swift",), items, -ranks, ranks[:, :, None], scores[:, :, None].astype(np.float32)
    )


def candidate(users, items, **changed):
    return FEATURES.candidate_frame(requests(users, **changed), found(items))


def test_a_requests_numbers_are_of_its_history():
    frame = FEATURES.request_frame(requests([0, 2, PAD]))
    assert frame["history_length"] == pytest.approx(np.log1p([2, 0, 0]))
    assert frame["since_last"] == pytest.approx([np.log1p(10 * DAY), np.nan, np.nan], nan_ok=True)
    assert frame["since_first"] == pytest.approx([np.log1p(30 * DAY), np.nan, np.nan], nan_ok=True)


def test_what_was_observed_of_an_item_is_its_mean_ever_and_lately():
    frame = candidate([0], [[0, 1, 2]])
    assert frame["item_discount_mean"][0] == pytest.approx([2, 4, np.nan], nan_ok=True)
    assert frame["item_discount_mean_15d"][0] == pytest.approx([np.nan, 4, np.nan], nan_ok=True)


def test_a_rank_counts_less_the_lower_and_0_where_not_found():
    frame = FEATURES.candidate_frame(requests([0]), found([[2, 3, 1]], [[0, 10, PAD]]))
    assert frame["swift_rank"] == pytest.approx(np.array([[1, 0.5, 0]]))


def test_a_score_lies_between_the_requests_least_and_best():
    frame = FEATURES.candidate_frame(requests([0]), found([[2, 3, 1]], [[0, 1, PAD]], [[7, 3, np.nan]]))
    assert frame["swift_score"] == pytest.approx(np.array([[1, 0, -0.1]]))


def test_statistics_are_of_the_moment_and_in_logs():
    frame = candidate([0, 0], [[0], [0]], now=np.array([15 * DAY, NOW]))
    assert frame["item_count"][:, 0] == pytest.approx(np.log1p([1, 2]))
    assert frame["item_count_15d"][:, 0] == pytest.approx(np.log1p([1, 0]))
    assert frame["item_since_last"][:, 0] == pytest.approx(np.log1p([5 * DAY, 20 * DAY]))


def test_numeric_attributes_are_the_items():
    assert candidate([0], [[0, 2]])["year"] == pytest.approx(np.array([[1990, np.nan]]), nan_ok=True)


def test_category_affinity_is_the_cosine_with_what_the_user_had():
    affinity = candidate([0], [[2, 3, 0]])["category_all"]
    drama, war = 1 + 2**-0.5, 2**-0.5
    norm = np.hypot(drama, war)
    assert affinity == pytest.approx(np.array([[war / norm, 0, drama / norm]]), abs=1e-6)


def test_a_category_is_worth_what_its_items_had_more_than_the_users_mean():
    past = replace(PAST, value=np.array([1, 3, 5], np.float32))  # of user 0: a drama 1, a drama and war 5
    value = candidate([0, 2], [[2, 3, 1], [2, 3, 1]], past=past)["category_value"]
    drama, war = (-2 + 2 * 2**-0.5) / (1 + 2**-0.5 + 5), 2 * 2**-0.5 / (2**-0.5 + 5)
    assert value == pytest.approx(np.array([[war, 0, (drama + war) * 2**-0.5], [0, 0, 0]]), abs=1e-6)


def test_recent_is_of_the_last_ten(monkeypatch):
    monkeypatch.setattr("recsys.features.candidates.RECENT", 1)
    frame = candidate([0], [[2]])
    assert frame["category_recent"] == pytest.approx(np.array([[2**-0.5]]))
    assert frame["year_distance_recent"] == pytest.approx(np.array([[np.nan]]), nan_ok=True)


def test_distances_are_to_the_mean_of_what_the_user_had():
    frame = candidate([0], [[3]])
    assert frame["year_distance_all"] == pytest.approx(np.array([[15]]))
    mean = np.log1p([2, 1]).mean()
    assert frame["popularity_gap"] == pytest.approx(np.array([[0 - mean]]))


def test_without_a_history_there_is_no_distance_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = candidate([2, PAD], [[0, 3], [0, 3]])
    for name in ("popularity_gap", "year_distance_all", "year_distance_recent"):
        assert np.isnan(frame[name]).all()
    assert (frame["category_all"] == 0).all()


def test_nobody_asks():
    frame = candidate([], np.zeros((0, 3), int))
    assert all(values.shape == (0, 3) for values in frame.values())


def test_without_any_past_nothing_is_known_and_nothing_breaks():
    empty = PAST[:0]
    features = CandidateFeatures.fit(empty, ITEMS, None, (7,))
    frame = features.candidate_frame(requests([0], past=empty), found([[0, 1]]))
    assert (frame["item_count"] == 0).all()
    assert np.isnan(features.request_frame(requests([0], past=empty))["since_last"]).all()


def test_columns_are_all_that_the_frames_hold():
    columns = FEATURES.columns(["swift"])
    frames = {
        "request": FEATURES.request_frame(requests([0])),
        "candidate": {name: each.ravel() for name, each in candidate([0], [[1, 2]]).items()},
    }
    for entity, frame in frames.items():
        sources = {column.sources[0] for column in columns if column.entity == entity}
        assert sources == frame.keys() - {"timestamp"}
    spec = FeatureSpec.fit(frames, columns)
    assert all(np.isfinite(each).all() for each in spec.encode(frames["candidate"], "candidate").values())


def test_save_and_load_change_nothing(tmp_path):
    FEATURES.save(tmp_path)
    loaded = CandidateFeatures.load(tmp_path)
    frame = loaded.candidate_frame(requests([0, 1]), found([[2, 3], [1, 2]]))
    for name, values in candidate([0, 1], [[2, 3], [1, 2]]).items():
        assert np.array_equal(frame[name], values, equal_nan=True), name


@given(users=st.lists(st.integers(PAD, 59), min_size=1, max_size=8), one_moment=st.booleans(), data=st.data())
def test_a_batch_equals_one_by_one(dataset, users, one_moment, data):
    features, recall = _of_tiny(dataset)
    moments = st.integers(1_600_000_000, 1_700_000_000)
    n = 1 if one_moment else len(users)
    now = np.array(data.draw(st.lists(moments, min_size=n, max_size=n)))
    asked = Requests.of(np.array(users), dataset.interactions, np.resize(now, len(users)))
    merged = merge({"popular": recall.recall(asked, 12)}, 12)
    batch = features.candidate_frame(asked, merged)
    for row in range(len(users)):
        single = features.candidate_frame(asked[row : row + 1], merged[row : row + 1])
        inside = merged.items[row] != PAD
        for name, values in single.items():
            assert np.array_equal(values[0][inside], batch[name][row][inside], equal_nan=True), name


_made = {}


def _of_tiny(dataset):
    if not _made:
        past = dataset.interactions
        _made["tiny"] = (
            CandidateFeatures.fit(past, dataset.items, dataset.spec.category, (7, 30)),
            channel("popular")().fit(past),
        )
    return _made["tiny"]


def test_what_comes_after_the_moment_changes_nothing():
    later = Interactions(
        user_idx=np.append(PAST.user_idx, 2).astype(np.int32),
        item_idx=np.append(PAST.item_idx, 3).astype(np.int32),
        timestamp=np.append(PAST.timestamp, NOW),
        value=np.ones(4, np.float32),
        labels={"liked": np.append(PAST.labels["liked"], 1).astype(np.float32)},
        n_users=3,
        n_items=4,
        observed={"discount": np.append(PAST.observed["discount"], 9).astype(np.float32)},
    )
    features = CandidateFeatures.fit(later, ITEMS, "genres", (15,))
    frame = features.candidate_frame(requests([0, 1]), found([[2, 3], [1, 3]]))
    for name, values in candidate([0, 1], [[2, 3], [1, 3]]).items():
        assert np.array_equal(frame[name], values, equal_nan=True), name
