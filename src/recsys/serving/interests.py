"""What somebody without a past says to like, as events: items, and items that stand for categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from recsys.pipeline import FALLBACK, Recommender
from recsys.types import PAD

STAND_INS, MOST_STAND_INS = 3, 30
"""Items that stand for a category, and for all: they count as had, so more would hide the best there is."""


def stand_ins_of(recommender: Recommender) -> dict[str, list[str]]:
    """Ids of each category's most popular items, the category with the most items first."""
    catalogue = recommender.catalogue
    stranger = recommender.requests(np.array([PAD]))
    popular = recommender.channels[FALLBACK].recall(stranger, len(catalogue.items)).items[0]
    found: dict[str, list[int]] = {}
    for row in popular[popular != PAD].tolist():
        for name in catalogue.categories[row]:
            found.setdefault(name, []).append(row)
    return {
        name: catalogue.items.decode(np.array(found[name][:STAND_INS])).tolist()
        for name in sorted(found, key=lambda name: -len(found[name]))
    }


def standing_in(
    stand_ins: Mapping[str, Sequence[str]], categories: Sequence[str], items: Sequence[str]
) -> dict[str, str]:
    """Which items stand for which of ``categories``: each one's first, each one's second, and so on.

    None of ``items``, which were named themselves.
    """
    lists = [(name, stand_ins.get(name, [])) for name in categories]
    turns = [(ids[n], name) for n in range(STAND_INS) for name, ids in lists if n < len(ids)]
    return {item: name for item, name in turns[:MOST_STAND_INS] if item not in items}
