"""What a preset takes and gives: `python benchmarks/presets/run.py [PRESET ...]`.

Trains with params.PRESET.yaml in .PRESET/ as `recsys train --preset` does, and keeps the time, the size of
the data and what evaluation found on test: a report (JSON) a preset.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import yaml

from recsys.artifacts import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = ["system", "metric", "value", "low", "high", "n"]
COUNTED = ("users", "items", "interactions")


def main() -> None:
    """Train each, and write its report."""
    arguments = parse()
    for preset in arguments.presets:
        seconds = trained(preset)
        report = told(ROOT / f".{preset}") | {"seconds": seconds}
        write_json(arguments.out / f"{preset}.json", report)
        print(f"{preset}: {seconds / 60:.0f} minutes, {arguments.out / preset}.json", flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "presets",
        nargs="*",
        default=["complete-journey"],
        metavar="PRESET",
        help="there is a params.PRESET.yaml of each (default: complete-journey)",
    )
    parser.add_argument(
        "--out", type=Path, default=ROOT / "reports" / "presets", help="folder of the reports"
    )
    return parser.parse_args()


def trained(preset: str) -> float:
    """Seconds that it took."""
    began = perf_counter()
    command = ["recsys", "train", "--mode", "full", "--preset", preset, "--no-gate"]
    subprocess.run(command, cwd=ROOT, check=True)
    return perf_counter() - began


def told(folder: Path) -> dict[str, Any]:
    """What the run in ``folder`` left."""
    data = read_json(folder / "reports" / "data.json")
    splits = {}
    for split in yaml.safe_load((folder / "params.yaml").read_text())["data"]["splits"]:
        summary = pd.read_csv(folder / "reports" / split / "evaluation" / "summary.csv")
        splits[split] = summary.loc[summary["slice"] == "all", COLUMNS].to_dict("records")
    return {"data": {name: data[name] for name in COUNTED}, "splits": splits}


if __name__ == "__main__":
    sys.exit(main())
