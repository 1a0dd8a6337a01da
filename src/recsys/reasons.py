"""Why an item is shown, in words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recsys.catalogue import Catalogue
from recsys.pipeline import FALLBACK, Recommendations, Recommender
from recsys.recall.again import AgainRecall
from recsys.rerank import Move
from recsys.types import PAD

LISTED = "listed"
"""What no channel found, because it was looked up."""
OF_CHANNEL = {
    AgainRecall.name: "you had it before",
    "item_cf": "goes with what you have had",
    "user_cf": "people with your taste had it lately",
    "swing": "goes with what you have had",
    "mf": "fits your taste as a whole",
    "fm": "fits your profile and what you had last",
    "two_tower": "fits your history and profile",
    "youtube_dnn": "fits your history and profile",
    "mind": "fits one of your interests",
    "sequence": "comes next, after what you had last",
    "cluster": "from a group of items you like",
    "item2vec": "met beside what you have had",
    "graph": "a short way from what you have had",
    "content": "told of in the same words as what you have had",
    "fresh": "new, and like what you have had",
    FALLBACK: "among what is popular",
    LISTED: "from the list made for you",
}
NOWHERE = np.iinfo(np.int32).max
"""Rank in a channel that did not find an item."""
OF_MOVE = {
    Move.PIN: "placed here by a rule",
    Move.FRESH: "new here",
    Move.BOOST: "part of a campaign",
    Move.DIVERSITY: "for variety",
    Move.WINDOW: "for variety",
}


def reasons(
    recommender: Recommender, shown: Recommendations, standing: Mapping[str, str] | None = None
) -> np.ndarray:
    """A sentence for each item, (n, k) of str, empty where padded.

    An item of the user's history is named, the one that most goes with it; else the channel that had the item
    highest speaks. A move of the re-ranker is added. Items of the history that are ``standing`` for a
    category, by id, nobody has had: the category is named.
    """
    related, because = recommender.related, np.full(shown.items.shape, PAD)
    if related is not None:
        because = related.because(shown.requests, shown.items)
    found = shown.listed(shown.merged.ranks)
    ranks = np.where(found == PAD, NOWHERE, found)
    best = ranks.argmin(axis=2)
    sentences = np.full(shown.items.shape, "", dtype=object)
    for row, place in np.argwhere(shown.items != PAD):
        found = ranks[row, place, best[row, place]] < NOWHERE
        channel = shown.merged.channels[best[row, place]] if found else LISTED
        sentence = _why(
            recommender.catalogue, shown.items[row, place], because[row, place], channel, standing or {}
        )
        move = OF_MOVE.get(Move(shown.moves[row, place]))
        sentences[row, place] = f"{sentence}; {move}" if move else sentence
    return sentences


def _why(catalogue: Catalogue, item: int, had: int, channel: str, standing: Mapping[str, str]) -> str:
    """What speaks for ``item``, which goes with what was ``had`` and ``channel`` has highest."""
    if channel in (AgainRecall.name, FALLBACK):
        had = PAD
    for row in (item, had):
        if row != PAD and (liked := standing.get(catalogue.items.ids[row])):
            return f"because you like {liked}"
    return OF_CHANNEL.get(channel, channel) if had == PAD else f"because you had {catalogue.titles[had]}"
