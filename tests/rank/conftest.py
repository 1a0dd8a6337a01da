"""A fold of the tiny data set, and what two channels find at it."""

import pytest

from recsys.features.candidates import CandidateFeatures
from recsys.rank.inputs import Examples
from recsys.recall import channel
from recsys.recall.merge import merge

TASKS = ("watched", "liked")


@pytest.fixture(scope="module")
def fold(dataset):
    return dataset.fold("global_time", "late")


@pytest.fixture(scope="module")
def examples(dataset, fold):
    found = {
        name: channel(name)().fit(fold.past).recall(fold.requests(), 60) for name in ("popular", "item_cf")
    }
    merged = merge(found, 60)
    return Examples.of(
        CandidateFeatures.fit(fold.past, dataset.items, dataset.spec.category, (7, 30)),
        fold,
        slice(None),
        merged,
        TASKS,
    )
