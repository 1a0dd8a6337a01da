"""What is published: one folder with all that serving needs, verified before it is used.

A release's id is a hash of its files, parameters, data and feature spec: the same inputs give the same id and
the same bytes, whoever builds it and whenever. Nothing in it is read from a clock.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from recsys.artifacts import (
    fingerprint,
    replacing,
    replacing_folder,
    sha256,
    write_json,
)

MANIFEST = "manifest.json"
LIVE = "live"
"""File beside the releases that holds the id of the one that answers."""
RECOMMENDER = "recommender"
"""Part of a release that holds the `recsys.pipeline.Recommender`."""
SCHEMA_VERSION = 1
UNKNOWN = "unknown"
CODE = ("src", "notebooks", "params.yaml", "dvc.yaml")
"""What a release's content is computed by; a commit of docs does not make another revision."""
REVISION = "REVISION"
"""A file with the revision of sources that are a copy, of which git knows nothing."""
ID_LENGTH = 12


class ReleaseError(Exception):
    """A release cannot be built, or is damaged; the message names the file."""


@dataclass(frozen=True)
class File:
    """``size`` in bytes and hex digest of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a release is made of and from.

    ``newest_event`` is int seconds; ``metrics`` are of the test data, higher is better; ``files`` by path.
    """

    id: str
    schema_version: int
    revision: str
    data_hash: str
    fingerprint: str
    newest_event: int
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Mapping[str, File]


@dataclass(frozen=True)
class Release:
    """A folder and its manifest."""

    folder: Path
    manifest: Manifest

    @property
    def id(self) -> str:
        return self.manifest.id


@dataclass(frozen=True)
class Pointer:
    """The id of the release that is to answer; ``written`` differs from one writing to the next."""

    id: str
    written: int


def build(
    parts: Mapping[str, Path],
    into: Path,
    *,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    data_hash: str,
    fingerprint: str,
    newest_event: int,
    revision: str,
) -> Release:
    """Copy ``parts`` (name in the release -> file or folder) to ``into/<id>/``, written whole or not at all.

    ``fingerprint`` is the FeatureSpec's. ReleaseError when a part is missing, empty or ill named, or when a
    metric is no finite number. A release with this id that stands already is replaced by the same.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ReleaseError(f"metric {name!r} is {value}, not a number to publish")
    sources = _sources(parts)
    files = {name: _file(source) for name, source in sources.items()}
    manifest = Manifest(
        id=_id(files, params, data_hash, fingerprint),
        schema_version=SCHEMA_VERSION,
        revision=revision,
        data_hash=data_hash,
        fingerprint=fingerprint,
        newest_event=newest_event,
        params=params,
        metrics=metrics,
        files=files,
    )
    with replacing_folder(into / manifest.id) as folder:
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # Content only: a cache's read-only mode and its times are not part of a release.
            shutil.copyfile(source, folder / name)
        write_json(folder / MANIFEST, asdict(manifest))
        verify(folder)
    return load(into / manifest.id)


def load(folder: Path) -> Release:
    """Read a release's manifest, without a look at the other files (see `verify`)."""
    path = folder / MANIFEST
    try:
        return Release(folder, read_manifest(path.read_bytes(), path))
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read ({error.strerror})") from error


def read_manifest(content: bytes, place: object) -> Manifest:
    """The manifest that ``content`` is; ReleaseError, which names its ``place``, where it is none."""
    try:
        told = json.loads(content)
    except ValueError as error:
        raise ReleaseError(f"{place}: cannot be read as JSON ({error})") from error
    version = told.get("schema_version") if isinstance(told, dict) else None
    if version != SCHEMA_VERSION:
        raise ReleaseError(f"{place}: schema version {version}, this code reads {SCHEMA_VERSION}")
    try:
        files = {name: File(**each) for name, each in told.pop("files").items()}
        manifest = Manifest(files=files, **told)
    except (TypeError, KeyError, AttributeError) as error:
        raise ReleaseError(f"{place}: is no manifest ({error})") from error
    if outside := [name for name in files if not _inside(name)]:
        raise ReleaseError(f"{place}: {outside[0]!r} is no name for a file of a release")
    return manifest


def verify(folder: Path) -> Release:
    """Read a release whose files and id are what its manifest says; ReleaseError names what differs."""
    release = load(folder)
    manifest = release.manifest
    present = {name for name in _names(folder) if name != MANIFEST}
    for name in sorted(manifest.files.keys() - present):
        raise ReleaseError(f"{folder / name}: missing")
    for name in sorted(present - manifest.files.keys()):
        raise ReleaseError(f"{folder / name}: not in the manifest")
    for name, expected in sorted(manifest.files.items()):
        path = folder / name
        if path.stat().st_size != expected.size:
            raise ReleaseError(f"{path}: {path.stat().st_size} bytes, the manifest says {expected.size}")
        if sha256(path) != expected.sha256:
            raise ReleaseError(f"{path}: its content is not what the manifest says")
    if _id(manifest.files, manifest.params, manifest.data_hash, manifest.fingerprint) != manifest.id:
        raise ReleaseError(f"{folder / MANIFEST}: id {manifest.id} does not belong to this content")
    return release


def list_releases(into: Path) -> list[Release]:
    """Releases in a folder, by their newest event, then id; none when there is no such folder."""
    found = [load(path.parent) for path in into.glob(f"[!.]*/{MANIFEST}")]
    return sorted(found, key=lambda release: (release.manifest.newest_event, release.id))


def pointer(into: Path) -> Pointer | None:
    """What ``into/live`` says; None where it says nothing, as long as nobody has pointed at a release."""
    try:
        with (into / LIVE).open(errors="replace") as file:
            id_ = file.read().strip()
            return Pointer(id_, os.fstat(file.fileno()).st_mtime_ns) if id_ else None
    except OSError:
        return None


def point(into: Path, id_: str) -> None:
    """Let the release ``id_`` answer, in one step for whoever reads; ReleaseError where there is none."""
    if load(into / id_).id != id_:
        raise ReleaseError(f"{id_!r} is no id of a release in {into}")
    with replacing(into / LIVE) as temporary:
        temporary.write_text(f"{id_}\n")


def live_id(into: Path) -> str | None:
    """Which release answers: the one pointed at, else the newest; None where there is none."""
    named = pointer(into)
    if named is not None:
        return named.id
    known = list_releases(into)
    return known[-1].id if known else None


def live_release(into: Path) -> Release:
    """The release that answers; ReleaseError where there is none."""
    id_ = live_id(into)
    if id_ is None:
        raise ReleaseError(f"{into}: holds no release; `recsys train` makes one")
    return load(into / id_)


def code_revision(root: Path, *besides: str) -> str:
    """Last commit of what computes a release, below ``root``; ``-dirty`` where that is modified since.

    Files ``besides`` count, too. A copy has what its file `REVISION` says; "unknown" outside git, or where
    nothing was ever committed.
    """
    if (told := root / REVISION).is_file():
        return told.read_text().strip()
    revision = _git(root, "log", "-1", "--format=%H", "--", *CODE, *besides)
    if not revision:
        return UNKNOWN
    return revision + ("-dirty" if _git(root, "status", "--porcelain", "--", *CODE, *besides) else "")


def data_hash(folder: Path) -> str:
    """Hash of all files below ``folder``: names and content, nothing else."""
    return fingerprint({name: sha256(folder / name) for name in _names(folder)})


def _git(root: Path, *command: str) -> str:
    try:
        told = subprocess.run(["git", "-C", str(root), *command], capture_output=True, text=True)
    except OSError:
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""


def _sources(parts: Mapping[str, Path]) -> dict[str, Path]:
    """Each file of the release by its name there."""
    sources: dict[str, Path] = {}
    for part, source in sorted(parts.items()):
        place = PurePosixPath(part)
        if not _inside(part):
            raise ReleaseError(f"{part!r} is no name for a part of a release")
        found = {(place / name).as_posix(): source / name for name in _names(source)}
        if source.is_file():
            found = {place.as_posix(): source}
        if not found:
            raise ReleaseError(f"{source}: part {part!r} is missing or empty")
        if twice := sorted(found.keys() & sources.keys()):
            raise ReleaseError(f"{twice[0]!r} stands in two parts of the release")
        sources |= found
    return sources


def _inside(name: str) -> bool:
    """Whether this names a place in a release that is not its manifest's."""
    place = PurePosixPath(name)
    return not (place.is_absolute() or ".." in place.parts or place.parts in ((), (MANIFEST,)))


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _file(path: Path) -> File:
    return File(path.stat().st_size, sha256(path))


def _id(files: Mapping[str, File], params: Mapping[str, Any], data: str, spec: str) -> str:
    content = {
        "files": {name: file.sha256 for name, file in files.items()},
        "params": params,
        "data_hash": data,
        "fingerprint": spec,
    }
    return fingerprint(content)[:ID_LENGTH]
