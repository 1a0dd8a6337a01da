"""`recsys`: the command line. Heavy imports stand within the commands, so that help comes at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from recsys.cli import data, publishing, release
from recsys.cli.capacity import capacity
from recsys.cli.recommendations import recommend
from recsys.cli.replay import replay
from recsys.cli.similarity import similar
from recsys.cli.training import train

EXPECTED = {
    "recsys.cli.options": "ArgumentError",
    "recsys.cli.training": "TrainingError",
    "recsys.data.report": "DataError",
    "recsys.artifacts": "ArtifactError",
    "recsys.release": "ReleaseError",
    "recsys.remote": "RemoteError",
    "recsys.business_rules": "RulesError",
    "recsys.capacity.model": "CapacityError",
    "recsys.features.values": "FeatureError",
    "recsys.pipeline": "ContextError",
}
"""Errors whose message says all that a person needs, by module."""

# Plain help: rich would take as long to import as all the rest.
app = typer.Typer(name="recsys", add_completion=False, rich_markup_mode=None)
app.command()(recommend)
app.command()(similar)
app.command()(replay)
app.command()(train)
app.command()(capacity)
release.app.add_typer(publishing.app)
app.add_typer(release.app, name="release")
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"recsys {version('recsys')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def recsys(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Recommend items, and look after the releases that do it.

    \b
    Examples:
      recsys recommend --user 42 --k 10 --explain
      recsys recommend --all --k 20 --out lists.parquet
      recsys similar --item "Toy Story (1995)"
      recsys release list
      recsys train --mode partial
      recsys data check my-data/
    """  # noqa: D301
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when a gate refuses, 2 with one line on stderr for bad input."""
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="recsys", standalone_mode=False)
    except TyperException as error:
        return _refused(error.format_message())
    except Exception as error:
        if not isinstance(error, (OSError, *_expected())):
            raise
        return _refused(str(error))
    return code if isinstance(code, int) else 0


def _refused(message: str) -> int:
    typer.echo(f"recsys: {' '.join(message.split())}", err=True)
    return 2


def _expected() -> tuple[type[Exception], ...]:
    """Error classes of the modules that are loaded; the others cannot have raised theirs."""
    return tuple(
        getattr(sys.modules[module], name) for module, name in EXPECTED.items() if module in sys.modules
    )
