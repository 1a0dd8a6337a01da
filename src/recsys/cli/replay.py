"""`recsys replay`: ask logged requests again."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import RELEASES, ArgumentError, Releases, folder_of

if TYPE_CHECKING:
    from recsys.serving import Live

SHOWN = 20
"""Lines that differ; more are counted."""


def replay(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="A request log of the service.")],
    releases: Releases = RELEASES,
) -> None:
    """Answer logged requests again and name the first stage that differs; exit code 1 where one does.

    \b
    Examples:
      recsys replay requests.jsonl
      recsys replay requests.jsonl --releases /srv/releases
    """  # noqa: D301
    from tqdm import tqdm

    from recsys.serving import Live
    from recsys.serving.replay import ReplayError
    from recsys.serving.replay import replay as replayed

    @cache
    def live(id_: str) -> Live:
        return Live.load(folder_of(id_, releases))

    n, different = 0, 0
    with log.open("rb") as lines:
        for number, line in enumerate(tqdm(lines, unit="requests", disable=None), start=1):
            try:
                stage = replayed(line, live)
            except ReplayError as error:
                raise ArgumentError(f"{log}: line {number} {error}") from error
            n += 1
            if stage is not None:
                different += 1
                if different <= SHOWN:
                    typer.echo(f"line {number}: {stage} differs")
    typer.echo(f"{n} requests answered again, {n - different} of them the same to the last digit")
    if different:
        raise typer.Exit(1)
