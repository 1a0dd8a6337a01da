"""Partial training: a recommender goes on learning from what is new since it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from recsys.business_rules import Rules
from recsys.catalogue import Catalogue, Renumbering
from recsys.data.dataset import Dataset
from recsys.data.report import DataError
from recsys.data.split import Fold
from recsys.features.attributes import Attributes
from recsys.features.candidates import CandidateFeatures
from recsys.pipeline import Recommender
from recsys.rank.inputs import Examples, Negatives, passed_over
from recsys.rank.ranker import Ranker
from recsys.types import Interactions, Recall, WarmStart

WARM = ("mf", "two_tower")
"""Channels that go on from what they learned; the others are counted anew."""
MADE_OF = {"cluster": {"two_tower"}, "fresh": {"content", "two_tower"}}
"""Channels whose items' vectors are those of others."""


@dataclass(frozen=True)
class Partial:
    """How to go on: what `TwoTowerRecall`, `MfRecall` and `Ranker` do otherwise than when they were made.

    Beside each new interaction the towers see ``replay`` old ones again, drawn by ``seed``: from a day's
    events alone they would forget. ``segment`` and ``attribute`` name what popular and user_cf go by,
    ``negatives`` what the ranker learns to put last.
    """

    two_tower: Mapping[str, Any] = field(default_factory=dict)
    mf: Mapping[str, Any] = field(default_factory=dict)
    ranker: Mapping[str, Any] = field(default_factory=dict)
    replay: float = 1.0
    segment: str | None = None
    attribute: str | None = None
    negatives: Negatives = "candidates"
    seed: int = 0

    def __call__(self, live: Recommender, dataset: Dataset, past: Interactions, rules: Rules) -> Recommender:
        """A recommender that knows ``past``, of which ``live`` knew a part.

        What is only counted (popular, item_cf, user_cf, statistics, clusters) is counted anew; factors,
        towers and ranker go on from their weights, with their encoders. Users and items are told apart by
        their ids, so there may be new ones. DataError where nothing is new, or where other numbers are known
        of items.
        """
        catalogue, attributes = Catalogue.of(dataset), Attributes.of(dataset)
        new = past.timestamp >= live.now
        if not new.any():
            raise DataError(f"nothing happened after {live.now - 1}, the newest event of the live release")
        features = CandidateFeatures.fit(
            past, dataset.items, dataset.spec.category, live.features.statistics.windows
        )
        if features.known_names != live.features.known_names:
            raise DataError(
                "of items other numbers are known than when the live release was made: train in full"
            )
        renumbering = Renumbering.between(live.catalogue, catalogue)
        ignored = dataset.events[~dataset.positive]
        impressions = renumbering.backwards(ignored[ignored.timestamp >= live.now])
        return Recommender(
            catalogue=catalogue,
            past=past,
            channels=self._channels(live, dataset, past, renumbering),
            merging=live.merging,
            features=features,
            ranker=self._ranker(live, renumbering.backwards(past[new]), impressions, attributes),
            reranking=live.reranking,
            rules=rules,
        )

    def _channels(
        self, live: Recommender, dataset: Dataset, past: Interactions, renumbering: Renumbering
    ) -> dict[str, Recall]:
        for name, others in MADE_OF.items():
            if name in live.channels and not live.channels.keys() >= others:
                raise DataError(
                    f"the live release asks {name}, which is made of {' and '.join(sorted(others))}, and "
                    "not those: train in full"
                )
        attributes = {"attributes": Attributes.of(dataset)}
        told: dict[str, Mapping[str, Any]] = {
            "popular": {"segments": dataset.user_codes(self.segment)},
            "item_cf": {"categories": Catalogue.of(dataset).category_bits()},
            "user_cf": {"attributes": dataset.user_codes(self.attribute)},
            "mf": self.mf,
            "two_tower": {**attributes, **self.two_tower},
            "fm": attributes,
            "youtube_dnn": attributes,
            "mind": attributes,
            "content": {"catalogue": Catalogue.of(dataset)},
        }
        rows = self._rows(past.timestamp >= live.now)
        channels: dict[str, Any] = {}
        for name, before in live.channels.items():
            if name == "cluster":
                told[name] = {"item_vectors": channels["two_tower"].item_vectors}
            if name == "fresh":
                vectors = {"content_vectors": channels["content"].item_vectors}
                told[name] = {"item_vectors": channels["two_tower"].item_vectors, **vectors}
            start = WarmStart(before, renumbering.users, renumbering.items, rows)
            channel: Any = replace(before, **told.get(name, {}))  # type: ignore[type-var]
            channels[name] = channel.fit(past, start=start) if name in WARM else channel.fit(past)
        return channels

    def _rows(self, new: np.ndarray) -> np.ndarray:
        """Places of what is new, and of what is seen again."""
        rows, old = np.flatnonzero(new), np.flatnonzero(~new)
        n = min(round(self.replay * len(rows)), len(old))
        again = np.random.default_rng(self.seed).choice(old, n, replace=False)
        return np.concatenate([rows, again])

    def _ranker(
        self, live: Recommender, since: Interactions, impressions: Interactions, attributes: Attributes
    ) -> Ranker:
        """It learns from what ``live`` would have shown, at its last moment, to those who came back."""
        users = np.unique(since.user_idx).astype(np.int64)
        fold = Fold(live.past, since, users, np.full(len(users), live.now))
        rows = np.flatnonzero(fold.hot)
        merged = live.recall(fold.requests(rows))
        ignored = passed_over(self.negatives, impressions, fold)
        examples = Examples.of(live.features, fold, rows, merged, live.ranker.tasks, ignored)
        ranker = replace(live.ranker, **self.ranker)
        return ranker.fit_from(live.ranker, [examples] if len(rows) else [], attributes)
