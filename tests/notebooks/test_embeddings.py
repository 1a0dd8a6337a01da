"""Channels of item vectors on the tiny data set: their figures are right."""

import numpy as np
import pytest

from recsys.artifacts import read_json
from recsys.recall import load_fold
from recsys.types import DAY

SPLIT = "leave_last_out"
pytestmark = pytest.mark.xdist_group("notebooks")
NAMES = ("item2vec", "graph", "content", "fresh")


@pytest.fixture(scope="module")
def report(repository):
    return read_json(repository / "reports" / SPLIT / "embeddings.json")


@pytest.mark.parametrize("fold", ["late", "valid", "test"])
def test_channels_of_a_fold_know_its_past_and_no_more(repository, prepared, fold):
    past = prepared.fold(SPLIT, fold).past
    channels = load_fold(repository / "artifacts" / SPLIT / "recall", fold, NAMES)
    met = np.bincount(past.item_idx, minlength=past.n_items) > 0
    assert np.array_equal(channels["item2vec"].item_vectors.any(axis=1), met)
    assert np.array_equal(channels["graph"].item_vectors.any(axis=1), met)
    first = np.full(past.n_items, np.iinfo(np.int64).max)
    np.minimum.at(first, past.item_idx, past.timestamp)
    recalled = np.setdiff1d(np.arange(past.n_items), channels["fresh"].space_.hidden)
    assert (first[recalled] > past.timestamp.max() - 150 * DAY).all()


def test_words_tell_of_every_item(repository, prepared):
    past = prepared.fold(SPLIT, "valid").past
    content = load_fold(repository / "artifacts" / SPLIT / "recall", "valid", ["content"])["content"]
    assert content.item_vectors.shape == (past.n_items, 16)
    assert content.item_vectors.any(axis=1).all()


def test_company_and_words_find_what_follows(report):
    for name in ("item2vec", "graph", "content"):
        assert 0.1 < report[name]["ndcg_at_10"] < 0.4


def test_bytes_are_those_of_the_files(repository, report):
    for name in NAMES:
        files = (repository / "artifacts" / SPLIT / "recall/embeddings/valid" / name).iterdir()
        assert report["bytes"][name] == sum(file.stat().st_size for file in files)


def test_fewer_rows_are_fewer_parameters(report, prepared):
    ways, n_items = report["ways"], len(prepared.items)
    saved = ways["end to end"]["parameters"] - ways["ids hashed to a quarter"]["parameters"]
    assert saved == 16 * (n_items - n_items // 4)
    assert ways["from graph"]["parameters"] == ways["end to end"]["parameters"]
    assert ways["graph, used directly"]["parameters"] == 2 * 16 * n_items
