"""The files of the stack, and the service's own modules, which they are compared with."""

import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bentos" / "recommender"))


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def compose(deploy) -> dict:
    return yaml.safe_load((deploy / "compose.yaml").read_text())


@pytest.fixture(scope="session")
def wanted_by_haproxy(deploy) -> set[str]:
    """Variables that haproxy.cfg reads where there is one name for all replicas."""
    named = set(re.findall(r"\$\{(\w+)\}", (deploy / "haproxy.cfg").read_text()))
    return named - {"REPLICA_ONE", "REPLICA_TWO"} | {"REPLICAS"}
