from dataclasses import replace

import numpy as np
import pytest

from recsys.data import facts
from recsys.data.dataset import Dataset
from recsys.types import DAY, Interactions


def met(*rows: tuple[int, int]) -> Interactions:
    """One interaction a row: user, moment."""
    users, times = np.array(rows).T
    return Interactions(
        user_idx=users.astype(np.int32),
        item_idx=np.arange(len(rows), dtype=np.int32),
        timestamp=times.astype(np.int64),
        value=np.ones(len(rows), np.float32),
        labels={},
        n_users=4,
        n_items=len(rows),
    )


def test_the_time_since_the_previous_is_the_same_users():
    gaps = facts.seconds_since_previous(met((0, 10), (2, 15), (0, 15), (2, 15), (0, 75)))
    np.testing.assert_array_equal(gaps, [np.nan, np.nan, 5, 0, 60])


def test_shares_of_gaps_leave_out_first_ones():
    shares = facts.gap_shares(met((0, 0), (1, 0), (0, 0), (0, 60), (1, 60 * DAY), (0, 61)))
    assert shares[shares > 0].to_dict() == {
        "same second": 0.25,
        "within a minute": 0.25,
        "within an hour": 0.25,
        "later": 0.25,
    }


def test_without_a_second_one_there_are_no_gaps():
    assert facts.gap_shares(met((0, 0), (1, 5))).sum() == 0


@pytest.mark.parametrize("split", ["global_time", "leave_last_out"])
def test_parts_over_time_hold_every_interaction(dataset: Dataset, split: str):
    parts = facts.parts_over_time(dataset, split, days=7)
    assert parts.to_numpy().sum() == len(dataset.interactions)
    assert parts["test"].sum() == len(dataset.fold(split, "test").future)


def test_an_item_of_two_categories_counts_in_both(dataset: Dataset):
    categories = facts.by_category(dataset)
    labels = dataset.items[dataset.spec.category]
    assert categories["items"].to_dict() == labels.explode().value_counts().to_dict()
    assert categories["share_of_interactions"].sum() > 1


def test_a_categorys_mean_value_is_that_of_its_interactions(dataset: Dataset):
    horror = dataset.items["genres"].map(lambda labels: "Horror" in labels).to_numpy()
    expected = dataset.events.value[horror[dataset.events.item_idx]].mean()
    assert facts.by_category(dataset).loc["Horror", "mean_value"] == pytest.approx(expected)


def test_without_a_category_there_is_nothing_to_count(dataset: Dataset):
    items = dataset.spec.items.model_copy(update={"category": None})
    spec = dataset.spec.model_copy(update={"items": items})
    assert facts.by_category(replace(dataset, spec=spec)).empty


def test_activity_is_told_by_segment_and_not_of_the_unknown(dataset: Dataset):
    users = dataset.users.assign(gender=dataset.users["gender"].where(dataset.users.index > 0, None))
    segments = facts.activity_by_segment(replace(dataset, users=users), most=2)
    assert list(segments) == ["gender"]
    count = np.bincount(dataset.interactions.user_idx, minlength=60)
    women = (users["gender"] == "F").to_numpy()
    np.testing.assert_array_equal(segments["gender"]["F"], count[women])
    assert sum(map(len, segments["gender"].values())) == 59


def test_folds_are_counted_by_who_can_be_known(dataset: Dataset):
    counts = facts.fold_counts(dataset).set_index(["split", "fold"])
    fold = dataset.fold("global_time", "test")
    row = counts.loc[("global_time", "test")]
    assert row["past"] == len(fold.past)
    assert row["hot"] + row["cold"] == len(fold.users)
    assert counts.loc[("leave_last_out", "test"), "tied"] == pytest.approx(
        dataset.fold("leave_last_out", "test").tied.mean()
    )
