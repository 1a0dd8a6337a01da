"""`recsys recommend`: one user's list on the screen, or everyone's in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from recsys.pipeline import Recommender

FORMATS = (".parquet", ".csv")


def moment(text: str | None) -> int | None:
    """Seconds since 1970 of ISO 8601 (UTC where no zone is given) or of seconds."""
    if text is None:
        return None
    try:
        seconds = int(text) if text.lstrip("-").isdecimal() else None
        at = datetime.fromisoformat(text) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ArgumentError(f"{text!r} is neither ISO 8601 nor seconds since 1970") from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def recommend(
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", callback=checked_id, help="Whom to recommend to.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Recommend to every known user.")] = False,
    k: K = 10,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each item is there.")] = False,
    as_json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="With --all: a .parquet or .csv file.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            "--now",
            metavar="ISO|SECONDS",
            help="Moment of the request (UTC); a second after the release's newest event if not given.",
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="NAME=VALUE", help="With --user: what the page knows; repeatable."),
    ] = None,
    release: ReleaseName = None,
    releases: Releases = RELEASES,
) -> None:
    """Recommend to one user, or to all at once into a file.

    An unknown user gets what is popular.

    \b
    Examples:
      recsys recommend --user 42 --k 10
      recsys recommend --user 42 --explain
      recsys recommend --user 42 --context device=mobile
      recsys recommend --user 42 --json --release 0f3a9c61b2d4
      recsys recommend --all --k 20 --out lists.parquet
    """  # noqa: D301
    at = moment(now)
    if user is not None and not everyone:
        if out is not None:
            raise ArgumentError("--out goes with --all")
        _to_one(load_recommender(release, releases), user, k, at, _named(context or []), explain, as_json)
    elif everyone and user is None:
        if out is None or explain or as_json or context:
            raise ArgumentError(
                "--all needs --out FILE, and takes neither --explain nor --json nor --context"
            )
        if out.suffix not in FORMATS or out.is_dir():
            raise ArgumentError(f"--out {out} is no file that ends in {' or '.join(FORMATS)}")
        from recsys.cli.export import export

        export(load_recommender(release, releases), k, at, out)
    else:
        raise ArgumentError("give either --user ID or --all")


def _named(told: list[str]) -> dict[str, str]:
    """Values of NAME=VALUE by name."""
    if wrong := [each for each in told if "=" not in each]:
        raise ArgumentError(f"--context {wrong[0]} is not NAME=VALUE")
    return dict(each.split("=", 1) for each in told)


def _to_one(
    recommender: Recommender,
    user: str,
    k: int,
    now: int | None,
    context: Mapping[str, str],
    explain: bool,
    as_json: bool,
) -> None:
    import numpy as np

    from recsys.cli.shown import lines
    from recsys.entries import entries
    from recsys.pipeline import FALLBACK
    from recsys.types import PAD

    users = recommender.catalogue.users.encode([user])
    recommender.check_context(context)
    told = {name: np.array([value], dtype=object) for name, value in context.items()}
    shown = recommender.recommend(replace(recommender.requests(users, now), context=told), k)
    served_by = str(shown.served_by[0])
    if served_by == FALLBACK:
        why = "is unknown" if users[0] == PAD else "has too little history to go by"
        typer.echo(f"user {user!r} {why}: this is what is popular", err=True)
    found = entries(recommender, shown, explain)
    if as_json:
        content = {"user_id": user, "served_by": served_by, "items": found}
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif found:
        typer.echo("\n".join(lines(found)))
    else:
        typer.echo(f"there is nothing left to recommend to user {user!r}", err=True)
