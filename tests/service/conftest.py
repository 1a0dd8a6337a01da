"""The service's app on a tiny release, without BentoML around it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from starlette.testclient import TestClient

from recsys import release
from recsys.serving import Live
from recsys.store import open_store

BENTO = Path(__file__).parents[2] / "bentos" / "recommender"
sys.path.insert(0, str(BENTO))

from app import Service, app_of  # noqa: E402
from settings import Settings  # noqa: E402

TOKEN = "a token for tests"


@dataclass
class Running:
    """The app's client, and what is behind it."""

    client: TestClient
    service: Service

    def post(self, path: str, body: object, **options):
        return self.client.post(path, json=body, **options)

    def ids(self, **body) -> list[str]:
        answer = self.post("/recommend", body)
        assert answer.status_code == 200, answer.text
        return [item["item_id"] for item in answer.json()["items"]]


@pytest.fixture(scope="session")
def releases(recommender, built, tmp_path_factory) -> Path:
    """A folder with two releases."""
    into = tmp_path_factory.mktemp("releases")
    for number in (1, 2):
        built(recommender, into, number=number)
    return into


@pytest.fixture(scope="session")
def lives(releases) -> list[Live]:
    return [Live.load(each.folder) for each in release.list_releases(releases)]


@pytest.fixture
def running(releases, lives, tmp_path) -> Iterator[Running]:
    settings = Settings(releases, str(tmp_path / "store"), admin_token=TOKEN)
    service = Service(settings, lives[0], open_store(settings.store))
    yield Running(TestClient(app_of(service)), service)
    service.close()
    (releases / release.LIVE).unlink(missing_ok=True)


@contextmanager
def _served(**settings) -> Iterator[str]:
    with socket.socket() as any_free:
        any_free.bind(("127.0.0.1", 0))
        port = any_free.getsockname()[1]
    told = {f"RECSYS_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "bentoml", "serve", "service:RecommenderService", "--port", str(port)]
    with TemporaryDirectory() as home:
        # BentoML's servers with one home would add up each other's metrics.
        environment = os.environ | told | {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": home}
        environment.pop("PROMETHEUS_MULTIPROC_DIR", None)
        with _started(command, environment, port) as url:
            yield url


@contextmanager
def _started(command: list[str], environment: dict[str, str], port: int) -> Iterator[str]:
    with subprocess.Popen(command, cwd=BENTO, env=environment) as server:
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
                    break
                except OSError:
                    assert server.poll() is None, "the service does not start"
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """`bentoml serve` with these settings: the address at which it answers."""
    return _served
