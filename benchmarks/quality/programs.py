"""Programs that recommend, in environments of their own: what they wrote is kept by what decides it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recsys.artifacts import fingerprint, read_json, replacing_folder, sha256

HERE = Path(__file__).resolve().parent
LIBRARIES = {
    "with_numpy": None,
    "with_implicit": "implicit",
    "with_irspack": "irspack",
    "with_rectools": "rectools",
    "with_torch_rechub": "torch-rechub",
}
"""Which of requirements/ each program in peers/ needs."""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36)}
"""One thread; and glibc keeps what is freed: torch's batches take and give back so much that half of the
seconds would be the kernel's.
"""


@dataclass(frozen=True)
class Answer:
    """What a program wrote: ``lists`` by the name of the step, and what they took."""

    folder: Path

    @property
    def of(self) -> str:
        """Hash of what decided it."""
        return self.folder.name

    @cached_property
    def told(self) -> dict[str, dict[str, float]]:
        return dict(read_json(self.folder / "told.json"))

    def items(self, step: str) -> np.ndarray:
        return read_npz(self.folder / f"{step}.npz")["items"]

    def sampled(self, step: str) -> np.ndarray:
        return read_npz(self.folder / f"{step}.npz")["sampled"]


def read_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return dict(arrays)


@dataclass(frozen=True)
class Question:
    """What a program is asked; ``of`` is the hash of all that decides the answer."""

    of: str
    library: str | None
    program: Path
    model: str
    moment: Path
    settings: Mapping[str, Any]


def of_peer(program: str, model: str, moment: Path, settings: Mapping[str, Any]) -> Question:
    """Its library's pins are part of the hash."""
    key = {"program": program, "pins": pins(program), "model": model, "moment": moment.stem}
    of = fingerprint({**key, "settings": settings})[:16]
    return Question(of, LIBRARIES[program], HERE / "peers" / f"{program}.py", model, moment, settings)


def of_ours(kind: str, moment: Path, folder: Path) -> Question:
    """What ``folder`` holds is asked; its files, and how they are asked, are part of the hash."""
    program = HERE / "ours.py"
    key = {"kind": kind, "holds": contents(folder), "moment": moment.stem, "asked": program.read_text()}
    settings = {"folder": str(folder.resolve())}
    return Question(fingerprint(key)[:16], None, program, kind, moment, settings)


@dataclass(frozen=True)
class Runs:
    """Runs programs below ``cache``; those in peers/ in environments of their own, unless they run ``here``.

    ``under`` stands before each command: "taskset -c 0", say.
    """

    cache: Path
    here: bool = False
    under: str = ""

    def answer(self, asked: Question) -> Answer:
        """Let the program answer, unless it has."""
        into = self.cache / "answers" / asked.of
        if not into.exists():
            library = None if self.here else asked.library
            python = sys.executable if library is None else str(self.environment(library))
            told = json.dumps(asked.settings)
            print(f"{asked.program.stem} {asked.model} {told}", flush=True)
            with replacing_folder(into) as new:
                command = [*shlex.split(self.under), python, str(asked.program), asked.model]
                run([*command, str(asked.moment.resolve()), told, str(new)], new / "log.txt")
        return Answer(into)

    def environment(self, library: str) -> Path:
        """The library's own Python, made of its pins where it is missing or they have changed."""
        pins, folder = requirements(library), self.cache / "environments" / library
        made = folder / "requirements.txt"
        if not made.exists() or made.read_text() != pins.read_text():
            print(f"an environment for {library}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [
                str(folder / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--requirement",
                str(pins),
            ]
            subprocess.run(pip, check=True)
            made.write_text(pins.read_text())
        return folder / "bin" / "python"


def requirements(library: str) -> Path:
    return HERE / "requirements" / f"{library}.txt"


def pins(program: str) -> str:
    """What the library of a program in peers/ is pinned to."""
    library = LIBRARIES[program]
    return requirements(library).read_text() if library else ""


def contents(folder: Path) -> str:
    """Hash of all that a folder holds."""
    return fingerprint(
        {str(path.relative_to(folder)): sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    )


def run(command: list[str], log: Path) -> None:
    """Run to the end, with one thread; SystemExit with the last of what it said where it fails."""
    with log.open("w+") as file:
        done = subprocess.run(command, env=os.environ | ENVIRONMENT, stdout=file, stderr=file)
        if done.returncode:
            file.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{file.read()[-3000:]}")
