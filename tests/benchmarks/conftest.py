"""Benchmarks are scripts: their folders are put where their imports look."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path[:0] = [
    str(BENCHMARKS / name) for name in ("serving", "capacity", "quality", "quality/peers", "ranking")
]
