"""A list as JSON entries, and the same entries as lines of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from recsys.catalogue import Catalogue
from recsys.cli.table import table
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


def entries(recommender: Recommender, shown: Recommendations, explain: bool) -> list[dict[str, Any]]:
    """The first row of ``shown``; with ``explain`` also why each item is there."""
    found = item_entries(recommender.catalogue, shown.items[0], shown.scores[0])
    if explain:
        sentences = reasons(recommender, shown)[0]
        for place, entry in enumerate(found):
            entry |= {"reason": sentences[place], **_explained(shown, place)}
    return found


def lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table of ``found``, each entry followed by what explains it."""
    names = ["rank", "title", "item_id", "score"]
    if all(entry["title"] == entry["item_id"] for entry in found):
        names.remove("title")
    head, *rows = table(names, [[_cell(entry[name]) for name in names] for entry in found])
    yield head
    for row, entry in zip(rows, found, strict=True):
        yield row
        if "reason" in entry:
            yield from (f"      {line}" for line in _explanation(entry))


def _explained(shown: Recommendations, place: int) -> dict[str, Any]:
    ranks, scores = shown.merged.ranks[0, place], shown.merged.channel_scores[0, place]
    return {
        "channels": {
            name: {"rank": int(rank) + 1, "score": _plain(score)}
            for name, rank, score in zip(shown.merged.channels, ranks, scores, strict=True)
            if rank != PAD
        },
        "probabilities": {task: _plain(each[0, place]) for task, each in shown.probabilities.items()},
        "move": Move(shown.moves[0, place]).name.lower(),
        "rank_before": int(shown.ranked[0, place]) + 1,
    }


def _explanation(entry: Mapping[str, Any]) -> Iterator[str]:
    yield entry["reason"]
    ranks = sorted((each["rank"], name) for name, each in entry["channels"].items())
    yield "found by " + ", ".join(f"{name} (at {rank})" for rank, name in ranks)
    yield ", ".join(f"{task} {_cell(each)}" for task, each in entry["probabilities"].items())
    moved = "" if entry["move"] == "none" else f", moved by {entry['move']}"
    yield f"at {entry['rank_before']} before re-ranking{moved}"


def _plain(value: np.float32) -> float:
    """The shortest number that is this one in float32."""
    return float(str(value))


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
