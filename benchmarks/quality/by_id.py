"""Our pipeline on MovieLens-1M with ties in the order of ids: `python benchmarks/quality/by_id.py FOLDER`.

A copy of the sources with a DVC cache of its own, for its data are not what its data stage made;
leave_last_out alone. `run.py --by-id default=FOLDER` judges it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from moments import with_ties_by_id
from programs import HERE

from recsys.data.dataset import Dataset
from recsys.parameters import overridden

ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "notebooks")]
PARAMS, DATA = Path("params.yaml"), Path("artifacts") / "data"


def main() -> None:
    """Copy, prepare the data, put its ties in order, run the rest."""
    from preset import copy_sources

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="emptied first")
    parser.add_argument("--preset", help="what stands in params.PRESET.yaml (the parameters as they are)")
    given = parser.parse_args()
    folder = given.folder.resolve()
    os.chdir(ROOT)
    copy_sources(folder)
    if given.preset:
        overrides = yaml.safe_load(Path(f"params.{given.preset}.yaml").read_text()) or {}
        params = overridden(yaml.safe_load(PARAMS.read_text()), overrides)
        (folder / PARAMS).write_text(yaml.safe_dump(params, sort_keys=False))
    if (ROOT / "data" / "raw").is_dir():
        shutil.copytree(ROOT / "data" / "raw", folder / "data" / "raw")
    dvc(folder, "config", "--local", "core.no_scm", "true")
    dvc(folder, "config", "--local", "cache.dir", str(folder / "cache"))
    dvc(folder, "repro", "data")
    with_ties_by_id(Dataset.load(folder / DATA)).save(folder / DATA)
    dvc(folder, "commit", "--force", "data")
    dvc(folder, "repro", "evaluation@leave_last_out")


def dvc(folder: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": "src", "PYTHONHASHSEED": "0"}
    subprocess.run(["dvc", *command], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
