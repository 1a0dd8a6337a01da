"""What all tests may use: the tiny data set, prepared once."""

from pathlib import Path

import pytest

from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare

TINY = Path(__file__).parent / "data" / "tiny"


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny data set with both splits."""
    return prepare(TINY, tmp_path_factory.mktemp("raw"), seed=0)
