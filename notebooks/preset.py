"""Lay the sources out in .PRESET/ with the parameters of a preset: `python notebooks/preset.py PRESET`.

A run in place would overwrite the artifacts of the default parameters. The copy shares DVC's cache; laid out
again it has the sources of today and what it has made so far, so that only stages run which those change.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import yaml

from recsys.parameters import overridden
from recsys.release import REVISION, code_revision

PARAMS = Path("params.yaml")
MADE = {"artifacts", "data", "reports", "dvc.lock", ".dvc"}
"""What a run leaves in its folder."""


def lay_out(folder: Path, preset: str | None, cache: Path) -> None:
    """Put every file that git tracks or would track into ``folder``, and set its parameters and DVC's cache.

    A data set of one's own is read where it is, and the data stage depends on it. SystemExit where the folder
    holds something else.
    """
    params, named = yaml.safe_load(PARAMS.read_text()), [f"params.{preset}.yaml"] if preset else []
    for overrides in named:
        params = overridden(params, yaml.safe_load(Path(overrides).read_text()) or {})
    own = Path(str(params["data"]["dataset"]))
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    made = _emptied(folder)
    for file in (Path(name) for name in names if name):
        if file.is_file() and file.parts[0] not in made and not file.is_relative_to(own):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, folder / file)
    if own.is_dir():
        params["data"]["dataset"] = str(own.resolve())
        _depend(folder / "dvc.yaml", own.resolve())
    (folder / PARAMS).write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / REVISION).write_text(code_revision(Path(), *named) + "\n")
    (folder / ".gitignore").write_text("*\n")
    # Not a git repository of its own.
    for option, value in (("core.no_scm", "true"), ("cache.dir", str(cache.resolve()))):
        subprocess.run(["dvc", "config", "--local", option, value], check=True, cwd=folder)


def _depend(pipeline: Path, dataset: Path) -> None:
    """Let the data stage run again where the files of ``dataset`` have changed."""
    told = yaml.safe_load(pipeline.read_text())
    told["stages"]["data"]["deps"].append(str(dataset))
    pipeline.write_text(yaml.safe_dump(told, sort_keys=False))


def _emptied(folder: Path) -> set[str]:
    """Take everything out of ``folder`` but what a run has made there; names of that."""
    if folder.exists() and not (folder / PARAMS).is_file():
        raise SystemExit(f"{folder} is there, and is no preset's: give it another name")
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in MADE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {path.name for path in folder.iterdir()}


def main() -> None:
    """Lay out the preset that is named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset", help="what params.PRESET.yaml is for: there stands what differs")
    preset = parser.parse_args().preset
    lay_out(Path(f".{preset}"), preset, Path(".dvc/cache"))


if __name__ == "__main__":
    main()
