"""Releases that were made of other data, measured on today's: so that a gate can compare them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys.catalogue import Catalogue, Renumbering
from recsys.columns import USER_IDX
from recsys.data.dataset import Dataset
from recsys.evaluate.judge import Judge
from recsys.evaluate.report import to_metrics
from recsys.gate import Measured
from recsys.pipeline import Recommender
from recsys.release import RECOMMENDER, Release

SHOWN = 20
"""Items of a list that is judged as users see it."""


def answers(recommender: Recommender, catalogue: Catalogue, judge: Judge) -> np.ndarray:
    """What ``recommender`` shows to the judged users, (n, SHOWN) in the numbers of today's ``catalogue``.

    They ask with all their past, the part that it was not made of too, as in a service that is told events.
    Users and items are told apart by their ids: whom it does not know gets what strangers get.
    """
    renumbering = Renumbering.between(recommender.catalogue, catalogue)
    past = renumbering.backwards(judge.fold.past)
    asked, users = judge.fold.requests(judge.rows), renumbering.users[judge.users]
    requests = replace(asked, users=users, history=past.histories(users))
    return renumbering.forwards(recommender.recommend(requests, SHOWN).items)


def measured_on(release: Release, dataset: Dataset, split: str, data_hash: str) -> Measured:
    """What ``release`` does for the test users of ``dataset``, whatever it was made of."""
    judge = Judge.of(dataset, split, "test")
    recommender = Recommender.load(release.folder / RECOMMENDER)
    return measured(release.id, answers(recommender, Catalogue.of(dataset), judge), judge, data_hash)


def measured(id_: str, items: np.ndarray, judge: Judge, data_hash: str) -> Measured:
    """What lists ``items`` (n, SHOWN) are worth to their users."""
    metrics = to_metrics(judge.summary({id_: items}, seed=0))[id_]
    return Measured(id_, data_hash, metrics, {USER_IDX: judge.users, **judge.per_user(items)})
