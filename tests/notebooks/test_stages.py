"""Every stage's notebook on the tiny data set: it runs, warns of nothing, and its figures are right."""

import nbformat
import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import read_json
from recsys.pipeline import Recommender
from recsys.recall import CHANNELS, load_fold
from recsys.recall.popular import PopularRecall
from recsys.release import list_releases, verify

SPLIT = "leave_last_out"
pytestmark = pytest.mark.xdist_group("notebooks")


def executed(repository):
    for path in sorted((repository / "reports/notebooks").rglob("*.ipynb")):
        yield path.name, nbformat.read(path, as_version=4).cells


def test_no_notebook_warns(repository):
    told = [
        (name, output.text)
        for name, cells in executed(repository)
        for cell in cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    assert told == []


def test_every_notebook_shows_figures(repository):
    figures = {
        name: sum(
            "image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", [])
        )
        for name, cells in executed(repository)
    }
    assert figures == {
        "10_data.ipynb": 7,
        "20_cf.ipynb": 9,
        "25_mf.ipynb": 5,
        "27_fm.ipynb": 5,
        "30_two_tower.ipynb": 8,
        "33_sequence.ipynb": 7,
        "35_embeddings.ipynb": 6,
        "40_clustering.ipynb": 5,
        "45_merging.ipynb": 6,
        "50_mmoe.ipynb": 7,
        "55_reranking.ipynb": 3,
        "60_evaluation.ipynb": 5,
        "70_release.ipynb": 0,
    }


def test_data_counts_what_the_files_hold(repository):
    report = read_json(repository / "reports/data.json")
    counted = {name: report[name] for name in ("users", "items", "interactions", "dropped_rows")}
    assert counted == {"users": 60, "items": 80, "interactions": 1958, "dropped_rows": 0}
    assert 0.2 < report["tied_share"] < 0.3


@pytest.mark.parametrize("split", ["global_time", SPLIT])
def test_the_folds_of_a_split_follow_each_other(repository, split):
    folds = read_json(repository / "reports/data.json")["folds"][split]
    late, valid, test = folds["late"], folds["valid"], folds["test"]
    assert late["past"] + late["future"] == valid["past"]
    assert valid["past"] + valid["future"] == test["past"]
    assert test["past"] + test["future"] <= 1958
    assert 0 < test["hot"] <= 60


def test_neighbours_find_more_than_popularity(repository):
    report = read_json(repository / "reports" / SPLIT / "cf.json")
    ndcg = {name: values["ndcg_at_10"] for name, values in report.items()}
    assert 0.02 < ndcg["popular"] < 0.2
    assert 0.1 < ndcg["item_cf"] < 0.4
    assert 0.1 < ndcg["user_cf"] < 0.4


def test_factors_find_more_than_popularity(repository):
    report = read_json(repository / "reports" / SPLIT / "mf.json")
    ndcg = {name: values["ndcg_at_10"] for name, values in report.items()}
    assert ndcg["popular"] < ndcg["mf"] < 0.4


def test_the_machine_learns_and_finds_more_than_popularity(repository):
    report = read_json(repository / "reports" / SPLIT / "fm.json")
    log = pd.read_csv(repository / "reports" / SPLIT / "fm" / "log.csv")
    assert log["loss"].is_monotonic_decreasing
    assert report["popular"]["ndcg_at_10"] < report["fm"]["ndcg_at_10"] < 0.4
    assert report["fm"] == report["fm u2i"]


def test_a_list_of_all_items_finds_all(repository):
    report = read_json(repository / "reports" / SPLIT / "mf.json")
    assert report["popular"]["recall_at_100"] == report["mf"]["recall_at_300"] == 1


@pytest.mark.parametrize("fold", ["late", "valid", "test"])
def test_channels_of_a_fold_know_its_past_and_no_more(repository, prepared, fold):
    channels = load_fold(repository / "artifacts" / SPLIT / "recall", fold, set(CHANNELS))
    assert list(channels) == list(CHANNELS)
    again = PopularRecall().fit(prepared.fold(SPLIT, fold).past)
    np.testing.assert_array_equal(channels["popular"].scores_[:1], again.scores_)


def test_merged_lists_find_more_than_any_channel(repository):
    report = read_json(repository / "reports" / SPLIT / "merging.json")
    channels = {name: values["ndcg_at_10"] for name, values in report.items() if name in CHANNELS}
    assert max(channels.values()) * 0.8 < report["learned"]["ndcg_at_10"] < 0.5
    assert report["learned"]["recall_at_300"] == 1
    merged = read_json(repository / "artifacts" / SPLIT / "merging/merging.json")
    assert set(merged["merging"]["gains"]) == set(merged["channels"]) == set(channels)


def test_the_ranker_tells_what_will_be_met(repository):
    report = read_json(repository / "reports" / SPLIT / "mmoe.json")
    assert 0.55 < report["tasks"]["watched"]["auc"] < 1


def test_ranking_reorders_and_loses_nothing(repository):
    report = read_json(repository / "reports" / SPLIT / "evaluation.json")["test"]
    assert report["merged"]["recall_at_300"] == report["ranked"]["recall_at_300"] == 1
    assert report["popular"]["ndcg_at_10"] < report["ranked"]["ndcg_at_10"] < 0.5


def test_what_is_released_is_what_was_measured(repository):
    measured = read_json(repository / "reports" / SPLIT / "evaluation.json")["test"]["reranked"]
    (release,) = list_releases(repository / "artifacts/releases")
    assert verify(release.folder).manifest.metrics == measured
    assert Recommender.load(release.folder / "recommender").now == release.manifest.newest_event + 1
