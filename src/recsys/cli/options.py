"""Options that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys.pipeline import Recommender

LONGEST_ID = 256
"""Characters."""
MOST = 1000
"""Items in a list."""


class ArgumentError(Exception):
    """Arguments that do not fit each other or the data; the message is one line."""


def checked_id(value: str | None) -> str | None:
    """Refuse an id that no data set has."""
    if value is not None and not 0 < len(value) <= LONGEST_ID:
        raise typer.BadParameter(f"an id has 1 to {LONGEST_ID} characters, not {len(value)}")
    return value


K = Annotated[int, typer.Option("--k", min=1, max=MOST, help="Items in a list.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
ReleaseName = Annotated[
    str | None,
    typer.Option("--release", metavar="ID|PATH", help="Release to ask; the live one if not given."),
]
Releases = Annotated[
    Path,
    typer.Option("--releases", metavar="DIR", envvar="RECSYS_RELEASES", help="Where releases are kept."),
]
RELEASES = Path("artifacts/releases")
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="What the new release was made from.")]
DATA = Path("artifacts/data")


def folder_of(release: str | None, releases: Path) -> Path:
    """Folder of a release by id or path, of the live one where None; ReleaseError where there is none."""
    from recsys.release import MANIFEST, ReleaseError, live_release

    if release is None:
        return live_release(releases).folder
    for folder in (releases / release, Path(release)):
        if (folder / MANIFEST).is_file():
            return folder
    raise ReleaseError(f"{release!r} is neither a release in {releases} nor a folder with a {MANIFEST}")


def load_recommender(release: str | None, releases: Path) -> Recommender:
    """The recommender of a release, verified first."""
    from recsys.release import RECOMMENDER, ReleaseError, verify

    folder = verify(folder_of(release, releases)).folder
    from recsys.pipeline import Recommender  # after: a damaged release is told before torch is loaded

    try:
        return Recommender.load(folder / RECOMMENDER)
    except (KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"{folder}: is whole, but not of this version of recsys ({error!r})") from error
