"""Two towers and clusters on the tiny data set: their figures are right."""

import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import read_json
from recsys.recall import load_fold
from recsys.recall.cluster import ClusterRecall

SPLIT = "leave_last_out"
FOLDS = ("late", "valid", "test")
pytestmark = pytest.mark.xdist_group("notebooks")


def report(repository, stage):
    return read_json(repository / "reports" / SPLIT / f"{stage}.json")


def table(repository, stage, name):
    return pd.read_csv(repository / "reports" / SPLIT / stage / f"{name}.csv")


@pytest.mark.parametrize("fold", FOLDS)
def test_both_channels_of_a_fold_know_its_past_and_no_more(repository, prepared, fold):
    past = prepared.fold(SPLIT, fold).past
    channels = load_fold(repository / "artifacts" / SPLIT / "recall", fold, ["two_tower", "cluster"])
    met = np.bincount(past.item_idx, minlength=past.n_items) > 0
    assert np.array_equal(channels["two_tower"].item_vectors.any(axis=1), met)
    again = ClusterRecall(
        item_vectors=channels["two_tower"].item_vectors, seed=3, n_clusters=8, iterations=10
    )
    assert np.array_equal(channels["cluster"].items_, again.fit(past).items_)


def test_each_fold_has_towers_of_its_own(repository):
    folder = repository / "artifacts" / SPLIT / "recall"
    late, valid, test = (load_fold(folder, fold, ["two_tower"])["two_tower"].item_vectors for fold in FOLDS)
    assert not np.array_equal(late, valid)
    assert not np.array_equal(valid, test)


def test_towers_learn_and_find_more_than_popularity(repository):
    ndcg = {name: values["ndcg_at_10"] for name, values in report(repository, "two_tower").items()}
    log = table(repository, "two_tower", "log")
    assert log["loss"].is_monotonic_decreasing
    assert log["ndcg_at_10"].iloc[-1] == pytest.approx(ndcg["two_tower"], abs=1e-5)
    assert ndcg["popular"] < ndcg["two_tower"] < 0.4


def test_clusters_are_searched_as_the_report_says(repository):
    measured = table(repository, "clustering", "probing")
    probing = measured.pivot(index="n_probe", columns="metric", values="value")
    search = report(repository, "clustering")["search"]
    assert list(probing.index) == [1, 2, 3, 4, 8]
    assert probing["recall_of_exact_search"].is_monotonic_increasing
    assert probing["share_scored"].is_monotonic_increasing
    assert probing.loc[8].tolist() == [1, 1, 1]  # all items, for all are probed
    assert probing["recall_at_100"].is_monotonic_increasing
    assert search == probing.loc[3, list(search)].to_dict()
    assert 0.2 < search["share_scored"] < 0.8


def test_clusters_find_more_than_popularity(repository):
    ndcg = {name: report(repository, "clustering")[name]["ndcg_at_10"] for name in ("popular", "cluster")}
    assert ndcg["popular"] < ndcg["cluster"] < 0.4
