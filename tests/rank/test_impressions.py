from dataclasses import replace

import numpy as np
import pytest

from recsys.data.split import Fold
from recsys.features.attributes import Attributes
from recsys.rank.inputs import passed_over
from recsys.rank.ranker import Ranker
from recsys.types import PAD, Interactions

TASKS = ("watched",)


def events(*rows):
    """Of (user, item, timestamp)."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    user, item = table[:, 0].astype(np.int32), table[:, 1].astype(np.int32)
    labels = {task: np.ones(len(table), dtype=np.float32) for task in TASKS}
    return Interactions(user, item, table[:, 2], np.ones(len(table), np.float32), labels, 2, 9)


PAST, FUTURE = events((0, 1, 10), (1, 1, 30)), events((0, 2, 50), (0, 3, 60), (1, 2, 40))
FOLD = Fold(PAST, FUTURE, np.array([0, 1]), np.array([31, 31]))


def test_passed_over_is_what_is_shown_between_what_is_taken():
    shown = events((0, 4, 10), (0, 5, 11), (1, 5, 11), (0, 6, 60), (1, 6, 60))
    ignored = passed_over("impressions", shown, FOLD)
    assert list(zip(ignored.user_idx, ignored.item_idx, strict=True)) == [(0, 5), (0, 6)]


def test_where_candidates_are_the_negatives_nothing_is_passed_over():
    assert passed_over("candidates", events((0, 5, 11)), FOLD) is None


def test_impressions_that_are_not_there_cannot_be_negatives():
    with pytest.raises(ValueError, match="the data set has none"):
        passed_over("impressions", events(), FOLD)


@pytest.fixture(scope="module")
def ignored(dataset, examples):
    """Every third candidate of each request, as if it had been shown and not taken."""
    rows, places = np.nonzero(examples.merged.items[:, ::3] != PAD)
    items = examples.merged.items[:, ::3][rows, places].astype(np.int32)
    users = examples.requests.users[rows].astype(np.int32)
    none = np.zeros(len(rows), dtype=np.float32)
    moments = np.zeros(len(rows), dtype=np.int64)
    return Interactions(users, items, moments, none, {}, len(dataset.users), len(dataset.items))


@pytest.fixture(scope="module")
def counted(examples, fold, ignored):
    return type(examples).of(examples.features, fold, slice(None), examples.merged, TASKS, ignored)


def test_what_was_shown_or_met_is_counted(examples, counted):
    shown = np.zeros_like(examples.inside)
    shown[:, ::3] = examples.inside[:, ::3]
    assert (counted.counted == shown | (counted.labels["watched"] > 0)).all()
    assert counted.counted.sum() < counted.inside.sum()
    assert (counted[:5].counted == counted.counted[:5]).all()


def test_probabilities_are_those_of_what_was_shown(counted, dataset):
    small = {"embedding_dim": 8, "n_experts": 2, "widths": (8,), "epochs": 2, "threads": 1}
    ranker = Ranker(tasks=TASKS, **small).fit([counted], Attributes.of(dataset))
    predicted = ranker.score_examples(counted).probabilities["watched"][counted.counted].mean()
    happened = counted.labels["watched"][counted.counted].mean()
    assert predicted == pytest.approx(happened, rel=0.05)
    assert happened > 1.5 * counted.labels["watched"][counted.inside].mean()


def test_a_request_of_which_nothing_counts_teaches_nothing(counted, dataset):
    small = {"embedding_dim": 8, "n_experts": 2, "widths": (8,), "epochs": 2, "threads": 1}
    blank = replace(counted, counted=np.zeros_like(counted.counted))
    ranker = Ranker(tasks=TASKS, **small).fit([blank], Attributes.of(dataset))
    assert [row["loss"] for row in ranker.log_] == [0, 0]
