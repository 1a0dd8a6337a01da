"""All notebooks, executed once on the tiny data set."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import yaml

from recsys.data.dataset import Dataset

ROOT = Path(__file__).parents[2]
SPLIT = "leave_last_out"
STAGES = (
    "cf", "mf", "fm", "two_tower", "sequence", "clustering", "embeddings", "merging", "mmoe", "reranking",
    "evaluation",
)  # fmt: skip

spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks/run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


def executed(folder, params, stages, split):
    """Every stage in its turn, in ``folder``, which gets the notebooks and ``params``."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copy(ROOT / "rules.yaml", folder)
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run.main(["data"]) == 0
        for stage in stages:
            assert run.main([stage, "--split", split]) == 0
        assert run.main(["release"]) == 0
    return folder


@pytest.fixture(scope="session")
def small_params():
    """Parameters that make every stage fast."""
    return yaml.safe_load((ROOT / "tests/notebooks/params.yaml").read_text())


@pytest.fixture(scope="session")
def execute():
    """`executed`, for tests that run the road on other data."""
    return executed


@pytest.fixture(scope="session")
def repository(tmp_path_factory, small_params):
    """A folder with the notebooks and small parameters, in which every stage ran in its turn."""
    data = small_params["data"] | {"dataset": str(ROOT / "tests/data/tiny")}
    return executed(tmp_path_factory.mktemp("repository"), small_params | {"data": data}, STAGES, SPLIT)


@pytest.fixture(scope="session")
def prepared(repository):
    return Dataset.load(repository / "artifacts/data")
