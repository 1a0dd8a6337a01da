"""Copy the sources to .PRESET/ with the parameters of a preset: `python notebooks/preset.py PRESET`.

A run in place would overwrite the artifacts of the default parameters. The copy shares DVC's cache, but is
laid out anew, so its stages run again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import yaml

from recsys.parameters import overridden

PARAMS = Path("params.yaml")


def copy_sources(folder: Path, without: Path) -> None:
    """Every file that git tracks or would track, but those ``without``; the folder is emptied first.

    Git is to see nothing of it.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")
    if folder.exists() and not (folder / PARAMS).is_file():
        raise SystemExit(f"{folder} is there, and is no preset's: give params{folder}.yaml another name")
    shutil.rmtree(folder, ignore_errors=True)
    for name in filter(None, names):
        if Path(name).is_file() and not Path(name).is_relative_to(without):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, folder / name)
    (folder / ".gitignore").write_text("*\n")


def main() -> None:
    """Make the copy and point it at this repository's cache."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("preset", help="what params.PRESET.yaml is for: there stands what differs")
    preset = parser.parse_args().preset
    folder, overrides = Path(f".{preset}"), Path(f"params.{preset}.yaml").read_text()
    params = overridden(yaml.safe_load(PARAMS.read_text()), yaml.safe_load(overrides) or {})
    dataset = Path(str(params["data"]["dataset"]))
    if dataset.is_dir():  # which may be large, and is read where it is
        params["data"]["dataset"] = str(dataset.resolve())
    copy_sources(folder, dataset)
    (folder / PARAMS).write_text(yaml.safe_dump(params, sort_keys=False))
    # Not a git repository of its own, and one cache for both.
    for option in ("core.no_scm=true", f"cache.dir={Path('.dvc/cache').resolve()}"):
        name, value = option.split("=", 1)
        subprocess.run(["dvc", "config", "--local", name, value], check=True, cwd=folder)


if __name__ == "__main__":
    main()
