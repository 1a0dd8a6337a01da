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

from moments import with_ties_by_id
from programs import HERE

ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "notebooks")]

from preset import lay_out  # noqa: E402

from recsys.data.dataset import Dataset  # noqa: E402

DATA = Path("artifacts") / "data"


def main() -> None:
    """Copy, prepare the data, put its ties in order, run the rest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what is done there already stays")
    parser.add_argument("--preset", help="what stands in params.PRESET.yaml (the parameters as they are)")
    given = parser.parse_args()
    folder = given.folder.resolve()
    os.chdir(ROOT)
    lay_out(folder, given.preset, folder / ".dvc" / "cache")
    if (ROOT / "data" / "raw").is_dir():
        shutil.copytree(ROOT / "data" / "raw", folder / "data" / "raw", dirs_exist_ok=True)
    dvc(folder, "repro", "data")
    with_ties_by_id(Dataset.load(folder / DATA)).save(folder / DATA)
    dvc(folder, "commit", "--force", "data")
    dvc(folder, "repro", "evaluation@leave_last_out")


def dvc(folder: Path, *command: str) -> None:
    environment = os.environ | {"PYTHONPATH": "src", "PYTHONHASHSEED": "0"}
    subprocess.run(["dvc", *command], cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    main()
