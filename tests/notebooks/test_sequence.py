"""The sequence channels on the tiny data set: their figures are right."""

import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import read_json
from recsys.recall import load_fold

SPLIT = "leave_last_out"
NAMES = ("sequence", "youtube_dnn", "mind")
pytestmark = pytest.mark.xdist_group("notebooks")


@pytest.fixture(scope="module")
def report(repository):
    return read_json(repository / "reports" / SPLIT / "sequence.json")


@pytest.mark.parametrize("name", NAMES)
def test_each_channel_learns_and_finds_something(repository, report, name):
    log = pd.read_csv(repository / "reports" / SPLIT / "sequence" / f"{name}.csv")
    assert log["loss"].iloc[-1] < log["loss"].iloc[0]
    assert log["ndcg_at_10"].iloc[-1] == pytest.approx(report[name]["ndcg_at_10"], abs=1e-5)
    assert 0.1 < report[name]["ndcg_at_10"] < 0.5  # by chance about 0.09


@pytest.mark.parametrize("fold", ["late", "valid", "test"])
def test_channels_of_a_fold_know_its_items_and_no_others(repository, prepared, fold):
    past = prepared.fold(SPLIT, fold).past
    met = np.bincount(past.item_idx, minlength=past.n_items) > 0
    for channel in load_fold(repository / "artifacts" / SPLIT / "recall", fold, NAMES).values():
        assert np.array_equal(channel.item_vectors.any(axis=1), met)


def test_every_choice_is_measured_beside_what_was_chosen(report):
    compared = {name: values["ndcg_at_10"] for name, values in report["compared"].items()}
    assert set(compared) == {
        *(f"{name}: as chosen" for name in NAMES),
        "sequence: one block",
        "youtube_dnn: 10 negatives",
        "mind: one interest",
    }
    assert len(set(compared.values())) == len(compared)


def test_parameters_are_counted(report):
    assert all(report["parameters"][name] > 80 * 16 for name in NAMES)
