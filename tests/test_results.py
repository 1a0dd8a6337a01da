"""Figures in the documents are those of the last run."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from recsys.data.spec import DatasetSpec

ROOT = Path(__file__).parent.parent


def test_tables_of_documents_are_those_of_reports():
    checked = subprocess.run([sys.executable, ROOT / "docs" / "results.py", "--check"], check=False)
    assert checked.returncode == 0, "a document is not what reports/ says: run python docs/results.py"


def test_the_example_of_the_documents_is_a_dataset_yaml():
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "dataset.md").read_text(), re.DOTALL)
    spec = DatasetSpec.model_validate(yaml.safe_load(example))
    assert set(spec.tasks) == {"clicked", "paid"}
