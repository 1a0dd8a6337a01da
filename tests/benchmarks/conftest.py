"""Benchmarks are scripts: their folder is put where their imports look."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "serving"))
