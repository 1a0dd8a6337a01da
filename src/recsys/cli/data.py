"""`recsys data`: look at data sets before anything is trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.options import ArgumentError

app = typer.Typer(rich_markup_mode=None, help="Draft, check and list data sets.")


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with files of your own.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the dataset.yaml that is there.")] = False,
) -> None:
    """Draft a dataset.yaml for the files of a folder, its guesses marked; exit code 2 where it cannot.

    \b
    Examples:
      recsys data init my-data/
      recsys data check my-data/
    """  # noqa: D301
    from recsys.artifacts import replacing
    from recsys.data.spec import FILE_NAME
    from recsys.drafting import draft

    target = path / FILE_NAME
    if target.exists() and not force:
        raise ArgumentError(f"{target} is there already; --force replaces it")
    text = draft(path)
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")
    typer.echo(f"{target}\nlook at what ends in a question mark, then: recsys data check {path}")


@app.command()
def check(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A folder with a dataset.yaml, or a built-in data set's name."),
    ],
) -> None:
    """Read a data set and tell what is wrong with it; exit code 2 where it cannot be used.

    \b
    Examples:
      recsys data check my-data/
      recsys data check movielens-100k
    """  # noqa: D301
    from recsys.data import prepare

    for line in prepare.check(path).lines():
        typer.echo(line)


@app.command("list")
def list_() -> None:
    """List the data sets that come with the package.

    \b
    Examples:
      recsys data list
    """  # noqa: D301
    from recsys.cli.table import table
    from recsys.data.prepare import DATASETS, built_in
    from recsys.data.spec import DatasetSpec

    specs = [DatasetSpec.read(DATASETS / f"{name}.yaml") for name in built_in()]
    typer.echo("\n".join(table(["name", "about"], [[spec.name, spec.about] for spec in specs])))
