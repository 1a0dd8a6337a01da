"""Figures in the documents are those of the last run."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_tables_of_documents_are_those_of_reports():
    checked = subprocess.run([sys.executable, ROOT / "docs" / "results.py", "--check"], check=False)
    assert checked.returncode == 0, (
        "README.md or docs/capacity.md is not what reports/ says: run python docs/results.py"
    )
