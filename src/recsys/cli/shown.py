"""Entries of a list as lines of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recsys.cli.table import table


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


def _explanation(entry: Mapping[str, Any]) -> Iterator[str]:
    yield entry["reason"]
    ranks = sorted((each["rank"], name) for name, each in entry["channels"].items())
    yield "found by " + ", ".join(f"{name} (at {rank})" for rank, name in ranks)
    yield ", ".join(f"{task} {_cell(each)}" for task, each in entry["probabilities"].items())
    moved = "" if entry["move"] == "none" else f", moved by {entry['move']}"
    yield f"at {entry['rank_before']} before re-ranking{moved}"


def _cell(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
