"""How many numbers each model has learned, and what it takes: `python benchmarks/sizes/run.py`.

Reads the channels of the fold `test` and the ranker that `dvc repro` left, for each split. Learned is what
training moves; what is only counted (tables of neighbours, popularity), and what is written down so that
nobody need compute it again (item vectors, encoded attributes), are in the bytes alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import yaml
from safetensors.numpy import load_file

from recsys.artifacts import read_arrays, read_json, write_json
from recsys.recall import CHANNELS

ARTIFACTS = Path("artifacts")
REPORT = Path("reports/benchmarks/sizes.json")
COUNTED = "n_parameters"
IDS = ("ids", "users", "items", "met")
"""Parts that have a vector for each user or item."""
IN_ARRAYS = {"mf": ("factors.npz", ("users", "items")), "cluster": ("clusters.npz", ("centroids",))}
"""Channels whose learned numbers are arrays of a file."""


def models(split: str) -> Iterator[tuple[str, Path]]:
    """Each model's name and folder: channels that keep more than parameters, in their order; the ranker."""
    for name in CHANNELS:
        for path in sorted((ARTIFACTS / split).glob(f"**/test/{name}")):
            if any(file.suffix != ".json" for file in path.iterdir()):
                yield name, path
    yield "ranker", ARTIFACTS / split / "mmoe" / "ranker"


def learned(name: str, folder: Path) -> dict[str, int]:
    """How many numbers each part of a model has learned; empty where it only counts."""
    if name in IN_ARRAYS:
        file, parts = IN_ARRAYS[name]
        arrays = read_arrays(folder / file)
        return {part: arrays[part].size for part in parts}
    weights: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= {part: weight.size for part, weight in load_file(path).items()}
    return weights or dict(read_json(folder / "params.json").get(COUNTED, {}))


def told(name: str, folder: Path) -> dict[str, int]:
    """Of one model: bytes, and how many numbers it has learned of ids, of attributes and of all else."""
    numbers = {"ids": 0, "attributes": 0, "layers": 0}
    for part, n in learned(name, folder).items():
        place = part.removesuffix(".weight").split(".")
        numbers["ids" if place[-1] in IDS else "attributes" if "tables" in place else "layers"] += n
    return {**numbers, "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())}


def main() -> None:
    """Count, write reports/benchmarks/sizes.json."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    splits = yaml.safe_load(Path("params.yaml").read_text())["data"]["splits"]
    report = {split: {name: told(name, folder) for name, folder in models(split)} for split in splits}
    write_json(REPORT, report)
    print(REPORT.read_text())


if __name__ == "__main__":
    main()
