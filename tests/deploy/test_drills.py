"""Two replicas behind HAProxy, Redis and S3 under load: whatever happens to a part, no request fails."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "serving"))

from drills import DRILLS  # noqa: E402
from load import during, post  # noqa: E402
from processes import free_port  # noqa: E402
from stack import Stack  # noqa: E402

ASKED = [
    *(post("/recommend", b'{"user_id": "u%d", "k": 5}' % user) for user in range(20)),
    *(post("/similar_items", b'{"item_id": "i%d", "k": 5}' % item) for item in range(3)),
]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("stack")]


@pytest.fixture(scope="module")
def releases(built, recommender, tmp_path_factory):
    into = tmp_path_factory.mktemp("releases")
    return [built(recommender, into, number=number).folder for number in range(2)]


@pytest.fixture(scope="module")
def stack(program, releases, tmp_path_factory):
    for name in ("haproxy", "redis-server"):
        program(name)
    with Stack.in_folder(tmp_path_factory.mktemp("stack"), free_port()).running(releases[0]) as stack:
        yield stack


@pytest.mark.parametrize("name", DRILLS)
def test_no_request_fails(stack, releases, name):
    answers = stack.replicas[0].release()
    other = next(folder for folder in releases if folder.name != answers)
    load = during(stack.proxy.port, ASKED, 4, lambda: DRILLS[name](stack, other))
    assert load.failed == 0
    assert len(load.seconds) > 100
