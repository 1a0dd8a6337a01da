"""`recsys train`: the pipeline as a whole, on a sample or on what is new; then gate and publish."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recsys.cli.options import DATA, RELEASES, ArgumentError, Releases
from recsys.cli.release import judged

if TYPE_CHECKING:
    from recsys.release import Release
    from recsys.remote import Live, Remote

REPRODUCE = ("dvc", "--wait-for-lock", "repro")
"""Two start side by side, and one may look at the stages for longer than DVC waits by itself."""
SAMPLED = "sample"
"""Preset of what is trained on a sample."""
LIVE = Path("artifacts/live")
"""Holds the release that answers while another one is made: partial training goes on from it."""
PARTIAL = Path("artifacts/partial/releases")


class Mode(StrEnum):
    """What is learned from."""

    FULL = "full"
    SAMPLED = "sampled"
    PARTIAL = "partial"


class TrainingError(Exception):
    """A stage failed; what it said stands above."""


def train(
    mode: Annotated[Mode, typer.Option("--mode", help="All data, a share of the users, or what is new.")],
    gate: Annotated[
        bool, typer.Option("--gate/--no-gate", help="Whether it must be as good as the one that answers.")
    ] = True,
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Whether to publish it, where --remote says.")
    ] = True,
    remote: Annotated[
        str | None,
        typer.Option(
            "--remote",
            metavar="s3://BUCKET/PREFIX",
            envvar="RECSYS_REMOTE",
            help="Where the release that answers is, and the new one is published.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="With --mode full: train as params.PRESET.yaml says, in .PRESET/."),
    ] = None,
    releases: Releases = RELEASES,
) -> None:
    """Train, build a release and print where it is; exit code 1 where it is worse than the one that answers.

    full runs what changed of the pipeline, with another preset in a folder of its own. sampled does so in
    .sample/ on a share of the users (params.sample.yaml). partial prepares the data, and goes on from the
    release that answers with what happened since. Both releases are measured on the new one's data. With
    --remote, a release that may answer is published, and does; without, the one that answers is that of
    --releases.

    \b
    Examples:
      recsys train --mode full
      recsys train --mode full --preset best
      recsys train --mode partial --remote s3://models/recsys
    """  # noqa: D301
    from recsys.remote import Remote
    from recsys.serving import Live as Answering

    if not Path("dvc.yaml").is_file():
        raise ArgumentError("no dvc.yaml here: run from the root of the repository")
    preset = _preset(mode, preset)
    there = Remote(remote) if remote else None
    before = there.live() if there else None
    live = _kept(there, before, releases)
    root, made = _made(mode, preset, live)
    Answering.load(made.folder)
    if gate and live is not None and live.id != made.id and not judged(made, live, root / DATA).passed:
        if there is None:
            _let_answer(live, releases)
        typer.echo(made.folder)
        raise typer.Exit(1)
    if publish and there is not None and before is not None:
        there.publish(made, before)
    if mode is not Mode.PARTIAL:
        typer.echo(f"`make serve{f' PRESET={preset}' if preset else ''}` answers from it:", err=True)
    typer.echo(made.folder)


def _preset(mode: Mode, given: str | None) -> str | None:
    if given and mode is not Mode.FULL:
        raise ArgumentError(f"--mode {mode} has parameters of its own: --preset goes with --mode full")
    if given and not Path(f"params.{given}.yaml").is_file():
        there = sorted(path.suffixes[0][1:] for path in Path().glob("params.*.yaml"))
        raise ArgumentError(f"no params.{given}.yaml here; there are {', '.join(there) or 'none'}")
    return SAMPLED if mode is Mode.SAMPLED else given


def _kept(there: Remote | None, before: Live | None, releases: Path) -> Release | None:
    """The release that answers, where stages do not touch it; None where there is none yet."""
    from recsys.release import live_id, load, verify

    shutil.rmtree(LIVE, ignore_errors=True)
    if there is not None and before is not None:
        return there.pull(before.id, LIVE) if before.id else None
    id_ = live_id(releases)
    if id_ is None:
        return None
    shutil.copytree(verify(releases / id_).folder, LIVE / id_)
    return load(LIVE / id_)


def _let_answer(live: Release, releases: Path) -> None:
    """Keep ``live`` answering, where training has put another in its place."""
    from recsys.artifacts import replacing_folder
    from recsys.release import live_id, point

    if live_id(releases) == live.id:
        return
    if not (releases / live.id).exists():
        with replacing_folder(releases / live.id) as folder:
            shutil.copytree(live.folder, folder, dirs_exist_ok=True)
    point(releases, live.id)


def _made(mode: Mode, preset: str | None, live: Release | None) -> tuple[Path, Release]:
    """Train; the folder that it was done in, and the release."""
    from recsys.release import ReleaseError, list_releases

    root = Path(f".{preset}") if preset else Path()
    if mode is Mode.PARTIAL:
        if live is None:
            raise ArgumentError("no release answers yet that partial training could go on from")
        shutil.rmtree(PARTIAL, ignore_errors=True)
        _prepare(root)
        _run("python", "notebooks/run.py", "partial")
    else:
        if preset:
            _run("python", "notebooks/preset.py", preset)
        _reproduce(root)
    folder = PARTIAL if mode is Mode.PARTIAL else root / RELEASES
    found = list_releases(folder)
    if not found:
        raise ReleaseError(f"{folder}: no release was made")
    return root, found[-1]


def _reproduce(root: Path) -> None:
    """All stages; splits need nothing of each other, and run side by side."""
    _prepare(root)
    told = subprocess.run(
        ["dvc", "stage", "list", "--name-only"], cwd=root, env=_environment(), capture_output=True, check=True
    )
    stages = told.stdout.decode().split()
    splits = dict.fromkeys(name.partition("@")[2] for name in stages if "@" in name)
    # `--single-item`, for a process that looked at `data` too would find it locked by the other.
    commands = [
        [*REPRODUCE, "--single-item", *(name for name in stages if name.endswith(f"@{split}"))]
        for split in splits
    ]
    running = [subprocess.Popen(command, cwd=root, env=_environment()) for command in commands]
    if failed := [command for command, each in zip(commands, running, strict=True) if each.wait()]:
        raise TrainingError(f"{' '.join(failed[0][:4])} failed")
    _run(*REPRODUCE, cwd=root)


def _prepare(root: Path) -> None:
    """The stage ``data``; of files of one's own DVC does not know whether they changed."""
    import yaml

    dataset = yaml.safe_load((root / "params.yaml").read_text())["data"]["dataset"]
    own = (root / str(dataset)).is_dir()
    _run(*REPRODUCE, *(["--force", "--single-item"] if own else []), "data", cwd=root)


def _run(*command: str, cwd: Path = Path()) -> None:
    """Run a command; what it says is seen."""
    try:
        subprocess.run(command, cwd=cwd, env=_environment(), check=True)
    except subprocess.CalledProcessError as error:
        raise TrainingError(f"{' '.join(command)} failed, see above") from error


def _environment() -> dict[str, str]:
    """Programs of this environment first; the modules of the folder it runs in."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"PATH": path, "PYTHONPATH": "src", "PYTHONHASHSEED": "0"}
