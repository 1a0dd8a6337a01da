"""Copies of the tiny data set to be spoiled."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from recsys.data.dataset import Dataset
from recsys.data.prepare import check, prepare
from recsys.data.report import DataError

TINY = Path(__file__).parent / "tiny"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny data set's folder."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


@pytest.fixture
def put(folder: Path) -> Callable[[str, int, str, str], None]:
    """Put a text into one cell: file, line (the header is 1), column, text."""

    def put_cell(file: str, line: int, column: str, text: str) -> None:
        with (folder / file).open(newline="") as source:
            rows = list(csv.reader(source))
        rows[line - 1][rows[0].index(column)] = text
        with (folder / file).open("w", newline="") as target:
            csv.writer(target, lineterminator="\n").writerows(rows)

    return put_cell


@pytest.fixture
def respec(folder: Path) -> Callable[..., None]:
    """Set fields of the copy's dataset.yaml, each by its dotted path; None takes a field away."""

    def set_fields(fields: dict[str, object]) -> None:
        path = folder / "dataset.yaml"
        content = yaml.safe_load(path.read_text())
        for place, value in fields.items():
            *parents, last = place.split(".")
            part = content
            for parent in parents:
                part = part.setdefault(parent, {})
            if value is None:
                del part[last]
            else:
                part[last] = value
        path.write_text(yaml.safe_dump(content))

    return set_fields


@pytest.fixture
def ready() -> Callable[..., Dataset]:
    """Prepare the data set of a folder."""

    def prepared(folder: Path, **options: object) -> Dataset:
        return prepare(folder, folder / "raw", seed=0, **options)

    return prepared


@pytest.fixture
def refusal() -> Callable[[Path], str]:
    """Why the data set of a folder cannot be used: one line."""

    def told(folder: Path) -> str:
        with pytest.raises(DataError) as error:
            check(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    return told
