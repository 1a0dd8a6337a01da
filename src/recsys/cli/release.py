"""`recsys release`, on one machine: build, verify, list, compare, let one answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.options import DATA, RELEASES, ArgumentError, Data, Releases, folder_of

if TYPE_CHECKING:
    from recsys.gate import Gate, Measured, Row, Verdict
    from recsys.release import Manifest, Release

METRICS = ("ndcg_at_10", "recall_at_10")
"""Metrics that the list of releases shows."""
SHORT = 10
"""Characters of a git revision."""

app = typer.Typer(rich_markup_mode=None, help="Build, compare and publish releases; let one answer.")
Named = Annotated[str, typer.Argument(metavar="ID|PATH", help="A release's id or folder.")]


@app.command()
def build(
    recommender: Annotated[
        Path,
        typer.Option(
            "--recommender",
            metavar="FOLDER",
            help="What the evaluation stage left: recommender/, per_user.npz and metrics.json.",
        ),
    ],
    params: Annotated[Path, typer.Option("--params", metavar="FILE", help="What it was made with.")] = Path(
        "params.yaml"
    ),
    data: Data = DATA,
    releases: Releases = RELEASES,
) -> None:
    """Build a release and print its id; the same inputs give the same id and bytes.

    \b
    Examples:
      recsys release build --recommender artifacts/global_time/evaluation
    """  # noqa: D301
    import recsys.release
    from recsys.gate import PER_USER
    from recsys.release import RECOMMENDER, ReleaseError, code_revision, data_hash

    if not data.is_dir() or not any(data.iterdir()):
        raise ReleaseError(f"{data}: is no folder with data")
    fingerprint, newest_event = _described(recommender / RECOMMENDER)
    built = recsys.release.build(
        {RECOMMENDER: recommender / RECOMMENDER, PER_USER: recommender / PER_USER},
        releases,
        params=_params(params),
        metrics=_metrics(recommender / "metrics.json"),
        data_hash=data_hash(data),
        fingerprint=fingerprint,
        newest_event=newest_event,
        revision=code_revision(params.absolute().parent),
    )
    typer.echo(built.id)


@app.command()
def verify(release: Named, releases: Releases = RELEASES) -> None:
    """Check that each file of a release is what its manifest says; exit code 2 where one is not.

    \b
    Examples:
      recsys release verify 0f3a9c61b2d4
      recsys release verify artifacts/releases/0f3a9c61b2d4
    """  # noqa: D301
    import recsys.release

    found = recsys.release.verify(folder_of(release, releases))
    size = sum(file.size for file in found.manifest.files.values())
    typer.echo(
        f"{found.id}: {len(found.manifest.files)} files, {size / 1e6:.1f} MB, all as the manifest says"
    )


@app.command("list")
def list_(
    remote: Annotated[
        str | None, typer.Option("--remote", metavar="s3://BUCKET/PREFIX", help="Those that are published.")
    ] = None,
    releases: Releases = RELEASES,
) -> None:
    """List the releases, the newest last, and say which one answers.

    \b
    Examples:
      recsys release list
      RECSYS_RELEASES=/srv/releases recsys release list
      recsys release list --remote s3://models/recsys
    """  # noqa: D301
    from recsys.cli.table import table
    from recsys.release import list_releases, live_id

    if remote is None:
        found, answers = [each.manifest for each in list_releases(releases)], live_id(releases)
    else:
        from recsys.remote import Remote

        there = Remote(remote)
        found, answers = there.list_releases(), there.live().id
    if not found:
        typer.echo(f"there is no release in {remote or releases}", err=True)
        return
    names = ["id", "", "newest event", "revision", *METRICS]
    typer.echo("\n".join(table(names, [_listed(each, each.id == answers) for each in found])))


@app.command()
def live(
    release: Annotated[str | None, typer.Argument(metavar="[ID]", help="The one that is to answer.")] = None,
    releases: Releases = RELEASES,
) -> None:
    """Print the id of the release that answers, or let another one: services go over to it by themselves.

    The other is loaded and asked first, and refused where it does not answer. As long as none was ever
    chosen, it is the newest.

    \b
    Examples:
      recsys release live
      recsys release live 0f3a9c61b2d4
    """  # noqa: D301
    from recsys.release import live_release, point

    if release is not None:
        from recsys.serving import Live

        Live.load(releases / release)
        point(releases, release)
    typer.echo(live_release(releases).id)


@app.command()
def compare(
    candidate: Annotated[str, typer.Argument(help="Id or folder of the new release.")],
    live: Annotated[str, typer.Argument(help="Id or folder of the one it would replace.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="METRIC=SHARE",
            help="Share of the live value that may be lost; may stand more than once. "
            "Those under release.gate in the candidate's params.yaml if not given.",
        ),
    ] = None,
    data: Data = DATA,
    releases: Releases = RELEASES,
) -> None:
    """Say whether a release may take the place of the live one; exit code 1 where it may not.

    Where they were made of other data, the live one is measured on the candidate's, which --data must be.

    \b
    Examples:
      recsys release compare 0f3a9c61b2d4 77b01de2a95c
      recsys release compare 0f3a9c61b2d4 77b01de2a95c --tolerance ndcg_at_10=0.02 --tolerance recall_at_10=0
    """  # noqa: D301
    import recsys.release

    new, old = (recsys.release.verify(folder_of(name, releases)) for name in (candidate, live))
    if not judged(new, old, data, tolerance or []).passed:
        raise typer.Exit(1)


def judged(new: Release, old: Release, data: Path, tolerances: Sequence[str] = ()) -> Verdict:
    """Whether ``new``, made of ``data``, may take the place of ``old``, printed with the reasons."""
    from recsys import gate
    from recsys.cli.table import table

    known = gate.Measured.of(new), _measured(old, new.manifest, data)
    verdict = gate.compare(*known, _gate(new, tolerances))
    if verdict.rows:
        names = ["metric", "live", "candidate", "difference", "95 % interval"]
        typer.echo("\n".join(table(names, [_compared(row) for row in verdict.rows])))
    typer.echo("\n".join(verdict.reasons))
    typer.echo(f"{new.id} {'may' if verdict.passed else 'must not'} take the place of {old.id}")
    return verdict


def _measured(old: Release, new: Manifest, data: Path) -> Measured:
    """``old`` as it does on the data of ``new``, where ``data`` is that; else as it once did on its own."""
    from recsys.gate import Measured
    from recsys.release import data_hash

    if old.manifest.data_hash == new.data_hash or not data.is_dir() or data_hash(data) != new.data_hash:
        return Measured.of(old)
    from recsys.data.dataset import Dataset
    from recsys.evaluate.releases import measured_on

    return measured_on(old, Dataset.load(data), new.params["release"]["split"], new.data_hash)


def _params(path: Path) -> dict[str, Any]:
    import json

    import yaml

    from recsys.release import ReleaseError

    try:
        content = yaml.safe_load(path.read_text())
        json.dumps(content)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ReleaseError(f"{path}: cannot be read as parameters ({error})") from error
    if not isinstance(content, dict):
        raise ReleaseError(f"{path}: holds no parameters by name")
    return content


def _metrics(path: Path) -> dict[str, float]:
    from recsys.artifacts import read_json
    from recsys.release import ReleaseError

    content = read_json(path)
    if not isinstance(content, dict) or not all(type(value) in (int, float) for value in content.values()):
        raise ReleaseError(f"{path}: is no mapping of metrics to numbers")
    return content


def _described(recommender: Path) -> tuple[str, int]:
    """Fingerprint of its FeatureSpec, and its newest event in seconds."""
    from recsys.artifacts import read_json
    from recsys.features.spec import FeatureSpec
    from recsys.release import ReleaseError
    from recsys.types import Interactions

    try:
        spec = FeatureSpec.from_json(read_json(recommender / "ranker" / "spec.json"))
        newest = Interactions.load(recommender / "past.npz").newest
    except (KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"{recommender}: is not a recommender of this version ({error!r})") from error
    return spec.fingerprint, newest


def _listed(manifest: Manifest, answers: bool) -> list[str]:
    newest = f"{datetime.fromtimestamp(manifest.newest_event, UTC):%Y-%m-%d %H:%M:%S}"
    values = [f"{manifest.metrics[name]:.4f}" if name in manifest.metrics else "-" for name in METRICS]
    dirty = "-dirty" if manifest.revision.endswith("-dirty") else ""
    revision = manifest.revision.removesuffix(dirty)[:SHORT] + dirty
    return [manifest.id, "live" if answers else "", newest, revision, *values]


def _compared(row: Row) -> list[str]:
    interval = "-" if row.interval is None else f"{row.interval[0]:+.4f} to {row.interval[1]:+.4f}"
    return [row.metric, f"{row.live:.4f}", f"{row.candidate:.4f}", f"{row.difference:+.4f}", interval]


def _gate(candidate: Release, given: Sequence[str]) -> Gate:
    from recsys.gate import Gate

    if given:
        return Gate(dict(map(_tolerance, given)))
    section = candidate.manifest.params.get("release")
    tolerances = section.get("gate") if isinstance(section, Mapping) else None
    if not isinstance(tolerances, Mapping) or not tolerances:
        raise ArgumentError("the candidate's parameters have no release.gate: give --tolerance METRIC=SHARE")
    return Gate(tolerances)


def _tolerance(given: str) -> tuple[str, float]:
    metric, _, share = given.partition("=")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if not metric or not 0 <= value <= 1:
        raise ArgumentError(f"--tolerance {given!r} is not METRIC=SHARE with a share from 0 to 1")
    return metric, value
