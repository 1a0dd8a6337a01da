"""Every stage's notebook on the tiny data set: it runs, warns of nothing, and its figures are right."""

import importlib.util
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml

from recsys.artifacts import read_json
from recsys.data.dataset import Dataset
from recsys.recall import load_fold
from recsys.recall.popular import PopularRecall

ROOT = Path(__file__).parents[2]
SPLIT = "leave_last_out"
PARAMS = {
    "seed": 3,
    "data": {
        "dataset": str(ROOT / "tests/data/tiny"),
        "sample": 1.0,
        "splits": {"global_time": {"late": 0.1, "valid": 0.1, "test": 0.1}, SPLIT: {"late": 1}},
    },
    "cf": {
        "popular": {"days": None},
        "windows": [30, 300],
        "item_cf": {"k_similar": 30, "category_weight": 1.2},
        "user_cf": {"k_similar": 20, "attribute_weight": 1.2},
        "attribute": "gender",
        "sample_users": 30,
    },
    "mf": {
        "factors": 8,
        "regularization": 1.0,
        "iterations": 5,
        "alpha": 2.0,
        "tried": [4, 8],
        "sample_users": 30,
    },
}

spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks/run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder with the notebooks and small parameters, in which the stages ran in their order."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(["data"]) == 0
        for stage in ("cf", "mf"):
            assert run.main([stage, "--split", SPLIT]) == 0
    return folder


@pytest.fixture(scope="module")
def prepared(repository):
    return Dataset.load(repository / "artifacts/data")


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
    assert figures == {"10_data.ipynb": 7, "20_cf.ipynb": 6, "25_mf.ipynb": 3}


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


def test_a_list_of_all_items_finds_all(repository):
    report = read_json(repository / "reports" / SPLIT / "mf.json")
    assert report["popular"]["recall_at_100"] == report["mf"]["recall_at_300"] == 1


@pytest.mark.parametrize("fold", ["late", "valid", "test"])
def test_channels_of_a_fold_know_its_past_and_no_more(repository, prepared, fold):
    channels = load_fold(repository / "artifacts" / SPLIT, fold)
    assert list(channels) == ["popular", "item_cf", "user_cf", "mf"]
    again = PopularRecall().fit(prepared.fold(SPLIT, fold).past)
    np.testing.assert_array_equal(channels["popular"].scores_, again.scores_)
