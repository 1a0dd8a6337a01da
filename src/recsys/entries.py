"""A list as JSON-able entries: what the command line prints and the service answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recsys.catalogue import Catalogue
from recsys.pipeline import Recommendations, Recommender
from recsys.reasons import reasons
from recsys.rerank import Move
from recsys.types import PAD


def item_entries(catalogue: Catalogue, items: np.ndarray, scores: np.ndarray) -> list[dict[str, Any]]:
    """Rank (from 1), item_id, title and score of each of ``items`` (k,), padding left out."""
    ids = catalogue.items.decode(items)
    return [
        {
            "rank": place + 1,
            "item_id": ids[place],
            "title": catalogue.titles[item],
            "score": _plain(scores[place]),
        }
        for place, item in enumerate(items)
        if item != PAD
    ]


def entries(
    recommender: Recommender, shown: Recommendations, explain: bool, standing: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The first row of ``shown``; with ``explain`` also why each item is there, as `reasons` says."""
    found = item_entries(recommender.catalogue, shown.items[0], shown.scores[0])
    if explain:
        sentences = reasons(recommender, shown, standing)[0]
        for place, entry in enumerate(found):
            entry |= {"reason": sentences[place], **_explained(shown, place)}
    return found


def _explained(shown: Recommendations, place: int) -> dict[str, Any]:
    at = shown.found[0, place]
    ranks, scores = shown.merged.ranks[0, at], shown.merged.channel_scores[0, at]
    return {
        "channels": {
            name: {"rank": int(rank) + 1, "score": _plain(score)}
            for name, rank, score in zip(shown.merged.channels, ranks, scores, strict=True)
            if rank != PAD
        },
        "probabilities": {task: _plain(each[0, at]) for task, each in shown.probabilities.items()},
        "move": Move(shown.moves[0, place]).name.lower(),
        "rank_before": int(shown.ranked[0, place]) + 1,
    }


def _plain(value: np.float32) -> float:
    """The shortest number that is this one in float32."""
    return float(str(value))
