"""Two towers and clusters on the tiny data set: their notebooks run, and their figures are right."""

import importlib.util
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml

from recsys.artifacts import read_json
from recsys.data.dataset import Dataset
from recsys.recall import load_fold
from recsys.recall.cluster import ClusterRecall

ROOT = Path(__file__).parents[2]
SPLIT = "leave_last_out"
FOLDS = ("late", "valid", "test")
PARAMS = {
    "seed": 3,
    "data": {
        "dataset": str(ROOT / "tests/data/tiny"),
        "sample": 1.0,
        "splits": {"global_time": {"late": 0.1, "valid": 0.1, "test": 0.1}, SPLIT: {"late": 1}},
    },
    "two_tower": {
        "embedding_dim": 16,
        "history_length": 10,
        "pooling": "weighted",
        "heads": 2,
        "temperature": 0.1,
        "batch_size": 64,
        "uniform_negatives": 32,
        "held_back": 0.5,
        "held_back_items": 5,
        "epochs": 4,
        "learning_rate": 0.01,
        "threads": 1,
        "popular_days": None,
    },
    "clustering": {
        "n_clusters": 8,
        "n_probe": 3,
        "history_length": 10,
        "decay": 0.9,
        "value_power": 0.0,
        "iterations": 10,
        "popular_days": None,
    },
}

spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks/run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder with the notebooks and small parameters, in which data, two_tower and clustering ran."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(["data"]) == 0
        for stage in ("two_tower", "clustering"):
            assert run.main([stage, "--split", SPLIT]) == 0
    return folder


@pytest.fixture(scope="module")
def prepared(repository):
    return Dataset.load(repository / "artifacts/data")


def report(repository, stage):
    return read_json(repository / "reports" / SPLIT / f"{stage}.json")


def table(repository, stage, name):
    return pd.read_csv(repository / "reports" / SPLIT / stage / f"{name}.csv")


@pytest.mark.parametrize(("name", "figures"), [("30_two_tower", 8), ("40_clustering", 5)])
def test_the_notebook_shows_its_figures_and_warns_of_nothing(repository, name, figures):
    path = repository / "reports/notebooks" / SPLIT / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in outputs) == figures


@pytest.mark.parametrize("fold", FOLDS)
def test_both_channels_of_a_fold_know_its_past_and_no_more(repository, prepared, fold):
    past = prepared.fold(SPLIT, fold).past
    channels = load_fold(repository / "artifacts" / SPLIT, fold)
    met = np.bincount(past.item_idx, minlength=past.n_items) > 0
    assert list(channels) == ["two_tower", "cluster"]
    assert np.array_equal(channels["two_tower"].item_vectors.any(axis=1), met)
    again = ClusterRecall(item_vectors=channels["two_tower"].item_vectors, seed=3, **PARAMS["clustering"])
    assert np.array_equal(channels["cluster"].items_, again.fit(past).items_)


def test_each_fold_has_towers_of_its_own(repository):
    folder = repository / "artifacts" / SPLIT
    late, valid, test = (load_fold(folder, fold)["two_tower"].item_vectors for fold in FOLDS)
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
