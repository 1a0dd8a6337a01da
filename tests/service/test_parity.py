"""The real service against the command line, as `make bench` compares them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PARITY = Path(__file__).parents[2] / "benchmarks" / "serving" / "parity.py"


@pytest.mark.slow
def test_the_service_answers_what_the_command_line_does(releases, tmp_path):
    out = tmp_path / "parity.json"
    command = [sys.executable, PARITY, "--users", "10", "--releases", releases, "--out", out]
    subprocess.run(command, check=True)
    assert json.loads(out.read_text())["replayed_identical"] == 10
