"""What the ranker reads of requests and candidates, and the labels it learns from; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from recsys.data.split import Fold
from recsys.features.attributes import Attributes, encoded
from recsys.features.candidates import CANDIDATE, CandidateFeatures
from recsys.features.history import HistoryEncoder
from recsys.features.spec import REQUEST, FeatureSpec
from recsys.inference import Arrays
from recsys.types import PAD, Interactions, MergedCandidates, Requests

Negatives = Literal["candidates", "impressions"]
"""What a ranker learns to put last: all that recall found and nobody took, or what was shown of it, too."""


@dataclass(frozen=True)
class Examples:
    """Requests, what recall found for them and, by task, what became of it: ``labels`` (n, k) float32.

    Of the candidates those that are ``counted`` (n, k) bool are learned from.
    """

    features: CandidateFeatures
    requests: Requests
    merged: MergedCandidates
    labels: Arrays
    counted: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """Which places (n, k) are candidates, not padding."""
        return np.asarray(self.merged.items != PAD)

    @classmethod
    def of(
        cls,
        features: CandidateFeatures,
        fold: Fold,
        rows: np.ndarray,
        merged: MergedCandidates,
        tasks: Sequence[str],
        passed_over: Interactions | None = None,
    ) -> Examples:
        """Label the candidates of ``fold.users[rows]`` by the fold's future: 0 where they never met.

        ``features`` and ``merged`` must come from the fold's past alone, so that nothing has seen its label.
        Where it is told what was `passed_over`, only that and what was met is counted: of all else nobody
        knows whether it would have been taken.
        """
        users = fold.users[rows]
        met = fold.future.pairs
        keys = np.where(merged.items == PAD, PAD, users[:, None] * fold.future.n_items + merged.items)
        unique, inverse = np.unique(met, return_inverse=True)
        place = np.minimum(np.searchsorted(unique, keys), len(unique) - 1)
        hit = unique[place] == keys
        labels = {}
        for task in tasks:
            best = np.zeros(len(unique), dtype=np.float32)
            np.maximum.at(best, inverse, fold.future.labels[task])
            labels[task] = np.where(hit, best[place], np.float32(0))
        counted = merged.items != PAD if passed_over is None else hit | np.isin(keys, passed_over.pairs)
        return cls(features, fold.requests(rows), merged, labels, counted)

    def __getitem__(self, rows: np.ndarray | slice) -> Examples:
        labels = {task: label[rows] for task, label in self.labels.items()}
        return Examples(self.features, self.requests[rows], self.merged[rows], labels, self.counted[rows])


def passed_over(negatives: Negatives, impressions: Interactions, fold: Fold) -> Interactions | None:
    """What of ``impressions`` without interest counts in ``fold``; None where ``negatives`` are candidates.

    That is what its users were shown after the last that they took of the past, until the last that they took
    of the future: what is shown later may be taken yet. ValueError where there are no impressions.
    """
    if negatives == "candidates":
        return None
    if not len(impressions):
        raise ValueError("negatives: impressions need rows without interest, and the data set has none")
    begin, end = np.full((2, fold.past.n_users), np.iinfo(np.int64).min)
    np.maximum.at(begin, fold.past.user_idx, fold.past.timestamp)
    np.maximum.at(end, fold.future.user_idx, fold.future.timestamp)
    users, moments = impressions.user_idx, impressions.timestamp
    return impressions[(begin[users] < moments) & (moments <= end[users])]


@dataclass(frozen=True)
class Inputs:
    """Encoded columns: of n ``requests`` (n, ...), of their ``candidates`` (n * k, ...) and of all ``items``.

    A request's history, where it is encoded, names rows of ``items``.
    """

    requests: Arrays
    candidates: Arrays
    items: Arrays


@dataclass(frozen=True)
class RankingInputs:
    """The ranker's fitted spec; users' and items' attributes, encoded once, their last row the unknown's.

    ``history`` encodes what is attended to; None where nothing is.
    """

    spec: FeatureSpec
    users: Arrays
    items: Arrays
    history: HistoryEncoder | None

    @classmethod
    def fit(
        cls, examples: Sequence[Examples], attributes: Attributes, history_length: int = 0
    ) -> RankingInputs:
        """Fit on the users, items, moments and candidates of ``examples``.

        What a history is worth is told by its items' attributes: where there are none, it is left out.
        """
        frames = [_frames(each) for each in examples]
        users = np.unique(np.concatenate([each.requests.users for each in examples]))
        items = np.unique(np.concatenate([each.merged.items.ravel() for each in examples]))
        first = examples[0]
        columns = (*attributes.columns, *first.features.columns(first.merged.channels))
        spec = FeatureSpec.fit(
            {
                "user": attributes.users.iloc[users[users != PAD]],
                "item": attributes.items.iloc[items[items != PAD]],
                REQUEST: _joined([request for request, _ in frames]),
                CANDIDATE: _joined([candidate for _, candidate in frames]),
            },
            columns,
        )
        of_users, of_items = encoded(spec, attributes.users, "user"), encoded(spec, attributes.items, "item")
        values = np.concatenate([each.requests.history.values for each in examples])
        attended = history_length and of_items
        return cls(
            spec, of_users, of_items, HistoryEncoder.of_values(values, history_length) if attended else None
        )

    def refreshed(self, attributes: Attributes) -> RankingInputs:
        """The same spec for the users and items of today."""
        users, items = attributes.users, attributes.items
        return replace(self, users=encoded(self.spec, users, "user"), items=encoded(self.spec, items, "item"))

    def request(self, features: CandidateFeatures, requests: Requests) -> dict[str, np.ndarray]:
        """Encode what is known of the n ``requests`` alone."""
        told = self.spec.encode_requests(requests, features.request_frame(requests))
        return told if self.history is None else told | self.history.encode(requests.history, requests.now)

    def candidate(
        self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates
    ) -> dict[str, np.ndarray]:
        """Encode what is known of the n * k candidates, one after the other, in these requests."""
        frame = features.candidate_frame(requests, merged)
        return self.spec.encode({name: values.ravel() for name, values in frame.items()}, CANDIDATE)

    def of(self, features: CandidateFeatures, requests: Requests, merged: MergedCandidates) -> Inputs:
        """All columns: users and items looked up, the rest encoded."""
        flat = merged.items.ravel()  # PAD is -1: the last row
        users = {name: values[requests.users] for name, values in self.users.items()}
        items = {name: values[flat] for name, values in self.items.items()}
        return Inputs(
            users | self.request(features, requests),
            items | self.candidate(features, requests, merged),
            self.items,
        )


def _frames(examples: Examples) -> tuple[Arrays, Arrays]:
    """The request frame, and the candidate frame without its padding."""
    inside = examples.merged.items != PAD
    candidate = examples.features.candidate_frame(examples.requests, examples.merged)
    return (
        {**examples.requests.context, **examples.features.request_frame(examples.requests)},
        {name: values[inside] for name, values in candidate.items()},
    )


def _joined(frames: Sequence[Arrays]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}
