"""`recsys similar`: what goes with an item."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

import typer

from recsys.cli.options import (
    RELEASES,
    ArgumentError,
    AsJson,
    K,
    ReleaseName,
    Releases,
    checked_id,
    load_recommender,
)


def similar(
    item: Annotated[
        str, typer.Option("--item", metavar="ID", callback=checked_id, help="Item to start from.")
    ],
    k: K = 10,
    as_json: AsJson = False,
    release: ReleaseName = None,
    releases: Releases = RELEASES,
) -> None:
    """Show the items that the same users have had.

    \b
    Examples:
      recsys similar --item "Toy Story (1995)"
      recsys similar --item "Toy Story (1995)" --k 5 --json
    """  # noqa: D301
    recommender = load_recommender(release, releases)
    from recsys.cli.shown import lines
    from recsys.entries import item_entries
    from recsys.pipeline import RELATED
    from recsys.types import PAD

    if recommender.related is None:
        raise ArgumentError(f"this release asks no channel that knows similar items ({', '.join(RELATED)})")
    rows = recommender.catalogue.items.encode([item])
    if rows[0] == PAD:
        near = ", ".join(map(repr, closest(item, recommender.catalogue.items.ids.tolist())))
        raise ArgumentError(f"no item {item!r}; closest are {near}")
    found = recommender.similar(rows, k)
    shown = item_entries(recommender.catalogue, found.items[0], found.scores[0])
    if as_json:
        typer.echo(json.dumps({"item_id": item, "items": shown}, indent=2, ensure_ascii=False))
    elif shown:
        typer.echo("\n".join(lines(shown)))
    else:
        typer.echo(f"nobody who had {item!r} had anything else", err=True)


def closest(wanted: str, ids: Sequence[str], n: int = 3) -> list[str]:
    """The ``n`` ids spelled most like ``wanted``, whatever the case."""
    spelled = {each.lower(): each for each in ids}
    return [spelled[each] for each in get_close_matches(wanted.lower(), spelled, n, cutoff=0)]
