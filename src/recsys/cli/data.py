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

    At the root of the repository also params.NAME.yaml, a preset to train with.

    \b
    Examples:
      recsys data init my-data/
      recsys data check my-data/
      recsys train --mode full --preset my-data --no-gate
    """  # noqa: D301
    from recsys.artifacts import replacing
    from recsys.data.spec import FILE_NAME, DatasetSpec
    from recsys.drafting import draft, preset, preset_name

    texts = {path / FILE_NAME: draft(path)}
    if Path("dvc.yaml").is_file():
        spec = DatasetSpec.parse(texts[path / FILE_NAME], path / FILE_NAME)
        texts[Path(f"params.{preset_name(spec)}.yaml")] = preset(path, spec)
    for target in texts:
        if target.exists() and not force:
            raise ArgumentError(f"{target} is there already; --force replaces it")
    for target, text in texts.items():
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        typer.echo(target)
    typer.echo(f"look at what ends in a question mark, then: recsys data check {path}")
    if len(texts) > 1:
        typer.echo(f"and then: recsys train --mode full --preset {preset_name(spec)} --no-gate")


@app.command()
def example(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder that is not there yet.")],
    users: Annotated[int, typer.Option(min=1, help="People who read.")] = 1000,
    articles: Annotated[int, typer.Option(min=20, help="What they read.")] = 400,
    shown: Annotated[int, typer.Option(min=1, help="How often somebody is shown an article.")] = 150_000,
    as_parquet: Annotated[
        bool, typer.Option("--parquet", help="Parquet files, a million rows each.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Another one is another world.")] = 0,
) -> None:
    """Make up a data set of news: articles, and who was shown which of them and clicked.

    \b
    Examples:
      recsys data example news
      recsys data example big --users 1000000 --articles 200000 --shown 20000000 --parquet
    """  # noqa: D301
    from recsys.synthetic import World
    from recsys.synthetic.files import write

    if path.exists():
        raise ArgumentError(f"{path} is there already")
    try:
        write(World.of(users, articles, seed=seed), shown, path, as_parquet)
    except ValueError as error:
        raise ArgumentError(str(error)) from error
    typer.echo(f"{path}\nnow: recsys data init {path}")


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
