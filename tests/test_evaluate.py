import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recsys.data.dataset import Dataset
from recsys.evaluate import (
    Judge,
    left_out,
    means,
    only_found_by,
    overlap,
    recall_curve,
    relative,
    to_metrics,
    write_report,
)
from recsys.evaluate.judge import relevant_keys
from recsys.metrics import bootstrap
from recsys.recall.popular import PopularRecall
from recsys.types import PAD, Candidates

SPLITS = ("global_time", "leave_last_out")


@pytest.fixture(scope="module")
def judge(dataset: Dataset) -> Judge:
    return Judge.of(dataset, "global_time", "valid", ks=(5, 10, 20))


@pytest.fixture(scope="module")
def systems(judge: Judge) -> dict[str, np.ndarray]:
    requests = judge.fold.requests(judge.rows)
    popular = PopularRecall().fit(judge.fold.past).recall(requests, 20).items
    drawn = np.random.default_rng(0).random((len(judge), judge.n_items)).argsort(axis=1)[:, :20]
    return {"popular": popular, "random": drawn, "foresight": foresight(judge, 20)}


def foresight(judge: Judge, k: int) -> np.ndarray:
    """Lists of just what users met next."""
    lists = np.full((len(judge), k), PAD)
    for row, user in enumerate(judge.users):
        mine = judge.relevant[judge.relevant // judge.n_items == user] % judge.n_items
        lists[row, : len(mine)] = mine[:k]
    return lists


def candidates(items: np.ndarray) -> Candidates:
    return Candidates(items, np.where(items == PAD, -np.inf, 0).astype(np.float32))


@pytest.mark.parametrize("split", SPLITS)
def test_hot_and_cold_users_are_judged_apart_and_none_is_lost(dataset, split):
    hot, cold = (Judge.of(dataset, split, "test", cold=cold) for cold in (False, True))
    np.testing.assert_array_equal(
        np.sort(np.concatenate([hot.rows, cold.rows])), np.arange(len(hot.fold.users))
    )
    assert (np.diff(hot.fold.past.offsets)[hot.users] > 0).all()


def test_what_came_next_is_found_by_foresight_alone(judge, systems):
    per_user = judge.per_user(systems["foresight"])
    assert per_user["ndcg_at_10"] == pytest.approx(1)
    assert judge.per_user(systems["random"])["ndcg_at_10"].mean() < 0.5


def test_an_item_met_before_is_not_relevant_again_unless_items_return(dataset):
    fold = dataset.fold("global_time", "valid")
    again = replace(fold, future=replace(fold.future, item_idx=fold.future.item_idx.copy()))
    user = fold.users[fold.hot][0]
    place = np.flatnonzero(again.future.user_idx == user)[0]
    old = fold.past.item_idx[fold.past.user_idx == user][0]
    again.future.item_idx[place] = old
    key = user * dataset.interactions.n_items + old
    returning = replace(again, past=replace(again.past, seen_return=True))
    kept, left = relevant_keys(returning), relevant_keys(again)
    assert key in kept
    assert key not in left


def test_recall_is_given_only_for_lists_long_enough(judge, systems):
    names = judge.per_user(systems["popular"][:, :10])
    assert {"recall_at_5", "recall_at_10"} < names.keys()
    assert "recall_at_20" not in names


def test_lists_of_other_users_are_refused(judge, systems):
    with pytest.raises(ValueError, match=f"lists for {len(judge)} judged users"):
        judge.per_user(systems["popular"][1:])


def test_fresh_items_are_those_first_met_lately_or_never(dataset):
    past = dataset.fold("global_time", "valid").past
    judge = Judge.of(dataset, "global_time", "valid", fresh_days=20)
    first = pd.Series(past.timestamp).groupby(past.item_idx).min().reindex(range(past.n_items))
    np.testing.assert_array_equal(judge.fresh, ~(first <= past.timestamp.max() - 20 * 86_400))


def test_category_vectors_say_each_items_categories(dataset, judge):
    assert judge.categories is not None
    assert judge.categories.sum(axis=1).tolist() == [len(genres) for genres in dataset.items["genres"]]


def test_activity_slices_part_the_users(judge):
    parts = [judge.slices[f"activity={name}"] for name in ("low", "medium", "high")]
    assert (np.sum(parts, axis=0) == 1).all()


def test_slices_are_of_attributes_with_few_values(judge):
    names = {name.split("=")[0] for name in judge.slices}
    assert {"activity", "gender", "occupation"} <= names


def test_tied_and_untied_users_are_told_apart_where_ties_are_cut(dataset):
    judge = Judge.of(dataset, "leave_last_out", "test")
    np.testing.assert_array_equal(judge.slices["order=tied"], judge.fold.tied[judge.rows])
    assert "order=tied" not in Judge.of(dataset, "global_time", "test").slices


def test_summary_holds_means_within_their_intervals(judge, systems):
    rows = judge.summary(systems, seed=0).dropna()
    assert ((rows["low"] <= rows["value"] + 1e-12) & (rows["value"] <= rows["high"] + 1e-12)).all()


def test_a_slices_value_is_the_mean_of_its_users(judge, systems):
    rows = judge.summary(systems, seed=0).set_index(["system", "slice", "metric"])["value"]
    inside = judge.slices["activity=low"]
    expected = judge.per_user(systems["popular"])["ndcg_at_10"][inside].mean()
    assert rows["popular", "activity=low", "ndcg_at_10"] == pytest.approx(expected)


def test_coverage_has_a_value_and_no_interval(judge, systems):
    row = judge.summary(systems, seed=0).query("system == 'popular' and metric == 'coverage_at_10'").iloc[0]
    assert row["value"] == len(np.unique(systems["popular"][:, :10])) / judge.n_items
    assert np.isnan(row["low"])


def test_a_summary_of_nobody_is_all_nan(dataset, judge):
    nobody = replace(judge, rows=judge.rows[:0], n_relevant=judge.n_relevant[:0], slices={})
    rows = nobody.summary({"popular": np.zeros((0, 20), dtype=np.int64)}, seed=0)
    assert rows.loc[rows["metric"] == "ndcg_at_10", ["value", "low", "high"]].isna().all(axis=None)


def test_the_same_seed_gives_the_same_summary(judge, systems):
    pd.testing.assert_frame_equal(judge.summary(systems, seed=1), judge.summary(systems, seed=1))


def test_intervals_are_those_of_a_plain_bootstrap():
    values = np.random.default_rng(0).exponential(size=400)
    row = means([values], seed=0).iloc[0]
    low, high = bootstrap(values, seed=1)
    assert [row["low"], row["high"]] == pytest.approx([low, high], abs=0.02)


def test_users_of_whom_a_metric_says_nothing_do_not_count():
    row = means([np.array([0.5, np.nan, 0.5])], seed=0).iloc[0]
    assert row.tolist() == [0.5, 0.5, 0.5, 2]


def test_only_foresight_beats_popular_beyond_chance(judge, systems):
    rows = judge.differences(systems, "popular", seed=0, metrics=["ndcg_at_10"]).set_index("system")
    assert rows["beats"].to_dict() == {"random": False, "foresight": True}


def test_a_difference_is_paired(judge, systems):
    worse = {"popular": systems["popular"], "same": systems["popular"].copy()}
    row = judge.differences(worse, "popular", seed=0, metrics=["ndcg_at_10"]).iloc[0]
    assert (row["value"], row["low"], row["high"], row["beats"]) == (0, 0, 0, False)


def test_a_gain_for_a_single_user_may_be_chance(judge, systems):
    lucky = systems["random"].copy()
    lucky[0] = systems["foresight"][0]
    rows = judge.differences(
        {"random": systems["random"], "lucky": lucky}, "random", seed=0, metrics=["ndcg_at_10"]
    )
    assert rows["value"].item() > 0
    assert not rows["beats"].item()


def test_differences_name_an_unknown_baseline(judge, systems):
    with pytest.raises(ValueError, match="no system is called 'mf'; there are popular"):
        judge.differences(systems, "mf", seed=0)


def test_differences_name_a_metric_that_one_system_lacks(judge, systems):
    shorter = {"popular": systems["popular"], "random": systems["random"][:, :10]}
    with pytest.raises(ValueError, match="recall_at_20 is not a metric of both random and popular"):
        judge.differences(shorter, "popular", seed=0, metrics=["recall_at_20"])


def test_what_two_channels_find_is_found_only_by_neither(judge, systems):
    found = {name: candidates(systems[name]) for name in ("foresight", "popular")}
    twice = found | {"again": found["foresight"]}
    alone, doubled = (only_found_by(f, judge, 20).set_index("channel") for f in (found, twice))
    assert alone.loc["foresight", "only"] + alone.loc["popular", "found"] == pytest.approx(1)
    assert (doubled["only"] == 0).all()


def test_overlap_is_the_share_of_the_rows_items_that_the_column_has():
    found = {"a": candidates(np.array([[1, 2], [5, PAD]])), "b": candidates(np.array([[2, 9], [5, 6]]))}
    assert overlap(found, 2).to_numpy().tolist() == [[1.0, 0.75], [0.5, 1.0]]


def test_leaving_out_the_one_good_channel_costs_all_of_its_recall(judge, systems):
    found = {"foresight": candidates(systems["foresight"]), "none": Candidates.none(len(judge), 20)}
    rows = left_out(
        found, judge, 20, lambda channels: np.concatenate([c.items for c in channels.values()], 1), 0
    )
    lost = rows.set_index("channel")["value"]
    assert lost["foresight"] == pytest.approx(-judge.per_user(systems["foresight"])["recall_at_20"].mean())


def test_the_only_channel_cannot_be_left_out(judge, systems):
    with pytest.raises(ValueError, match="without its only channel"):
        left_out({"popular": candidates(systems["popular"])}, judge, 20, lambda _: systems["popular"], 0)


def test_recall_grows_with_k(judge, systems):
    curve = recall_curve(systems, judge, [1, 5, 20], seed=0)
    assert curve.groupby("system")["value"].apply(lambda values: values.is_monotonic_increasing).all()


def test_metrics_are_nested_by_system_rounded_and_never_nan(judge, systems):
    summary = judge.summary({"popular": systems["popular"]}, seed=0)
    summary["value"] = np.where(summary["metric"] == "ndcg_at_10", 1 / 3, np.nan)
    assert to_metrics(summary) == {"popular": {"ndcg_at_10": 0.333333}}


def test_a_report_is_written_in_the_same_bytes_each_time(tmp_path, judge, systems):
    summary = judge.summary(systems, seed=0)
    for folder in ("one", "two"):
        write_report(tmp_path / folder, "cf", {"global_time": to_metrics(summary)}, {"summary": summary})
    for name in ("cf.json", "cf/summary.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_report_takes_numpys_numbers_and_rounds_them(tmp_path):
    write_report(tmp_path, "cf", {"a": {"x": np.float64(1 / 3), "n": np.int64(3)}}, {})
    assert json.loads((tmp_path / "cf.json").read_text()) == {"a": {"n": 3, "x": 0.333333}}


def test_a_report_refuses_a_number_that_json_cannot_say(tmp_path):
    with pytest.raises(ValueError, match=r"cf\.popular\.auc is nan"):
        write_report(tmp_path, "cf", {"popular": {"auc": float("nan")}}, {})


def test_the_headline_has_the_same_few_metrics_of_every_stage(tmp_path):
    write_report(tmp_path, "cf", {}, {}, {"recall_at_100": 0.5, "ndcg_at_10": 0.25, "novelty_at_10": 7.0})
    assert json.loads((tmp_path / "metrics" / "cf.json").read_text()) == {
        "ndcg_at_10": 0.25,
        "recall_at_100": 0.5,
    }


def test_a_sample_is_judged_as_the_whole_judges_its_users(judge: Judge):
    some = judge.sample(10, seed=1)
    lists = np.arange(len(judge))[:, None] + np.arange(20)
    places = np.searchsorted(judge.rows, some.rows)
    assert len(some) == 10
    for metric, values in judge.per_user(lists).items():
        np.testing.assert_array_equal(some.per_user(lists[places])[metric], values[places])


def test_a_sample_larger_than_all_is_all(judge: Judge):
    np.testing.assert_array_equal(judge.sample(10_000, seed=1).rows, judge.rows)


def test_among_few_users_the_past_is_theirs_alone(judge: Judge):
    few = judge.among(40, seed=1)
    past, all_of_it = few.fold.past, judge.fold.past
    theirs = np.unique(past.user_idx)
    assert len(theirs) <= 40
    assert np.isin(few.users, theirs).all()
    assert np.isin(few.users, judge.users).all()
    assert len(few) == min(40, len(judge))
    assert len(past) == np.isin(all_of_it.user_idx, theirs).sum() < len(all_of_it)
    whole = judge.fold.requests(judge.rows[np.searchsorted(judge.rows, few.rows)])
    np.testing.assert_array_equal(few.fold.requests(few.rows).history.lengths, whole.history.lengths)


def test_more_users_than_there_are_is_all_of_them(judge: Judge):
    assert judge.among(judge.fold.past.n_users, seed=1) is judge


def test_a_relative_difference_is_of_sums_and_its_users_are_paired():
    baseline = np.random.default_rng(0).random(200)
    assert relative(1.1 * baseline, baseline, seed=0) == pytest.approx((0.1, 0.1, 0.1))
    value, low, high = relative(np.roll(baseline, 1), baseline, seed=0)
    assert value == pytest.approx(0)
    assert low < 0 < high
