"""Files that stages leave for each other: whole or not at all, the same bytes for the same content."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from mmap import ACCESS_COPY, mmap
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

ALIGNED = 64
"""Bytes: arrays begin at multiples of them, as numpy's own do."""
LOCAL, ZIP64 = 30, 20
"""Bytes of a zip's local header without name and extra fields, and of what `zipfile` adds for large sizes."""
LARGE = 1 << 30
"""Bytes from which on an array gets it: what else changes then differs by the patch version of Python."""
EXTRA, PADDED = struct.Struct("<HH"), 0xD935
"""An extra field's id and length; the id is Android's, which aligns its archives so too."""


class ArtifactError(Exception):
    """A file is missing, damaged or of another make; the message names it."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, renamed to it when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new, empty folder beside ``path`` that takes its place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """One ``.npz``, uncompressed, each array where it can be mapped; object arrays are refused."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ArtifactError(f"{path}: array {name!r} holds Python objects, which are never written")
    with replacing(path) as temporary, temporary.open("wb") as file, ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            large = array.nbytes >= LARGE
            member = ZipInfo(f"{name}.npy")  # dated 1980, whenever it is written
            member.extra = _padding(file.tell() + LOCAL + len(member.filename.encode()) + ZIP64 * large)
            with archive.open(member, "w", force_zip64=large) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def _padding(start: int) -> bytes:
    """An extra field that moves what would be at ``start`` to a multiple of `ALIGNED` bytes."""
    missing = -(start + EXTRA.size) % ALIGNED
    return EXTRA.pack(PADDED, missing) + bytes(missing)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote, mapped: read where it is needed, and processes share what they read.

    What is written into an array stays in this process. A file must not be cut while arrays of it are in use:
    all here are replaced, never written over.
    """
    try:
        with path.open("rb") as file, ZipFile(file) as archive:
            memory = mmap(file.fileno(), 0, access=ACCESS_COPY)
            return {
                member.filename.removesuffix(".npy"): _mapped(memory, member) for member in archive.infolist()
            }
    except (OSError, ValueError, EOFError, BadZipFile, struct.error) as error:
        raise ArtifactError(f"{path}: cannot be read as arrays ({error})") from error


def _mapped(memory: mmap, member: ZipInfo) -> np.ndarray:
    if member.compress_type != ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    name, extra = struct.unpack_from("<HH", memory, member.header_offset + LOCAL - 4)
    memory.seek(member.header_offset + LOCAL + name + extra)
    version = np.lib.format.read_magic(memory)
    if version != (1, 0):
        raise ValueError(f"{member.filename} is of version {version}")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(memory)
    if dtype.hasobject:
        raise ValueError(f"{member.filename} holds Python objects")
    flat = np.frombuffer(memory, dtype, math.prod(shape), memory.tell())
    return flat.reshape(shape, order="F" if by_columns else "C")


def write_json(path: Path, content: object) -> None:
    """Sorted keys, two spaces, a final newline."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """What `write_json` wrote."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(content: object) -> str:
    """Hex digest of ``content`` as canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
