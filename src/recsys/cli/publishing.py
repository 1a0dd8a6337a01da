"""`recsys release`, between machines: publish on S3, pull, follow, roll back, prune."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from recsys.cli.options import DATA, RELEASES, ArgumentError, Data, Releases, folder_of
from recsys.cli.release import Named, judged

if TYPE_CHECKING:
    from recsys.remote import Live, Remote

app = typer.Typer()
Url = Annotated[
    str,
    typer.Option(
        "--remote",
        metavar="s3://BUCKET/PREFIX",
        envvar="RECSYS_REMOTE",
        help="Where releases are published. Credentials, region and endpoint as boto3 finds them.",
    ),
]


@app.command()
def publish(
    release: Named,
    remote: Url,
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Whether it must be as good as the one that answers.")
    ] = True,
    data: Data = DATA,
    releases: Releases = RELEASES,
) -> None:
    """Publish a release and let it answer everywhere; exit code 1 where it is worse than the one that does.

    It is loaded and asked first. Whoever reads sees all of it or nothing. Where another one was made to
    answer meanwhile, this one does not: compare with that, and publish again.

    \b
    Examples:
      recsys release publish 0f3a9c61b2d4 --remote s3://models/recsys
      RECSYS_REMOTE=s3://models/recsys recsys release publish 0f3a9c61b2d4 --no-gate
    """  # noqa: D301
    from recsys.release import verify
    from recsys.remote import Remote
    from recsys.serving import Live

    there, new = Remote(remote), verify(folder_of(release, releases))
    Live.load(new.folder)
    before = there.live()
    if gate and before.id not in (None, new.id):
        verdict = judged(new, there.pull(before.id, releases), data)
        if not verdict.passed:
            raise typer.Exit(1)
    there.publish(new, before)
    typer.echo(new.id)


@app.command()
def pull(
    remote: Url,
    release: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The one that is to answer if not given.")
    ] = None,
    releases: Releases = RELEASES,
) -> None:
    """Fetch a release, verified on arrival, and print its id; the one that is to answer does so here too.

    \b
    Examples:
      recsys release pull --remote s3://models/recsys
    """  # noqa: D301
    from recsys.remote import Remote

    there = Remote(remote)
    typer.echo(_followed(there, releases).id if release is None else there.pull(release, releases).id)


@app.command()
def follow(
    remote: Url,
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 10,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=2,
            help="Remove all releases of this folder but so many that answered last. All stay if not given.",
        ),
    ] = None,
    releases: Releases = RELEASES,
) -> NoReturn:
    """Do as `pull` does whenever another release is to answer, for ever: services go over by themselves.

    Beside a service, on each machine. Without S3 what is here stays.

    \b
    Examples:
      recsys release follow --remote s3://models/recsys --every 5
      recsys release follow --remote s3://models/recsys --keep 3
    """  # noqa: D301
    from recsys.release import ReleaseError
    from recsys.remote import Remote, RemoteError

    there, said = Remote(remote), ""
    while True:
        try:
            live = _followed(there, releases)
            told = f"{live.id} is to answer"
        except (RemoteError, ReleaseError, OSError) as error:
            live, told = None, f"nothing has changed here: {error}"
        if told != said:
            typer.echo(told, err=True)
            said = told
            if live is not None and keep is not None:
                _remove_all_but([*dict.fromkeys(live.ids)][:keep], releases)
        time.sleep(every)


@app.command()
def rollback(
    remote: Url,
    release: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The one that answered before if not given.")
    ] = None,
) -> None:
    """Let an earlier release answer again, and print its id.

    \b
    Examples:
      recsys release rollback --remote s3://models/recsys
    """  # noqa: D301
    from recsys.remote import Remote

    there = Remote(remote)
    before = there.live()
    earlier = [each for each in before.ids if each != before.id]
    if release is None and not earlier:
        raise ArgumentError(f"{remote}: no other release was ever to answer")
    typer.echo(there.point(release or earlier[0], before).id)


@app.command()
def prune(
    remote: Url,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many of the newest stay.")] = 5,
) -> None:
    """Remove old releases, and uploads that were never finished; print the ids of what is gone.

    The one that answers and the one before stay.

    \b
    Examples:
      recsys release prune --keep 3 --remote s3://models/recsys
    """  # noqa: D301
    from recsys.remote import Remote

    for id_ in Remote(remote).prune(keep):
        typer.echo(id_)


def _followed(there: Remote, releases: Path) -> Live:
    """Fetch what is to answer and let it answer here."""
    from recsys.release import point, pointer
    from recsys.remote import RemoteError

    live = there.live()
    if live.id is None:
        raise RemoteError(f"{there.url}: no release is to answer yet")
    there.pull(live.id, releases)
    here = pointer(releases)
    if here is None or here.id != live.id:
        point(releases, live.id)
    return live


def _remove_all_but(ids: Sequence[str], releases: Path) -> None:
    """Workers that still map a file of what goes keep it until they let go of it."""
    from recsys.release import ID_LENGTH, MANIFEST

    for folder in sorted(releases.glob("[0-9a-f]" * ID_LENGTH)):
        if folder.name not in ids:
            try:
                (folder / MANIFEST).unlink(missing_ok=True)  # first: what is half gone is no release
                shutil.rmtree(folder)
            except OSError as error:
                typer.echo(f"{folder.name} stays: {error}", err=True)
