"""What breaks around the service, and what it does then."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

import httpx
import pytest
from app import Service, app_of
from settings import Settings

from recsys import release
from recsys.inference import load_weights, save_weights
from recsys.rank.ranker import WEIGHTS
from recsys.store import Event, open_store

BENTO = Path(__file__).parents[2] / "bentos" / "recommender"
TOKEN = {"authorization": "Bearer a token for tests"}


@pytest.fixture
def of_another_spec(recommender, lives, built, tmp_path):
    """A release that is whole, but whose ranker's weights were made with another spec."""
    folder = tmp_path / "releases"
    ranker = folder / "unpublished" / "recommender" / "ranker"
    first = built(recommender, folder)
    weights = load_weights(first.folder / "recommender" / "ranker" / WEIGHTS, first.manifest.fingerprint)
    save_weights(ranker / WEIGHTS, weights, "f" * 64)
    return release.build(
        {"recommender": ranker.parent},
        folder,
        **{name: getattr(first.manifest, name) for name in ("params", "metrics", "data_hash", "fingerprint")},
        newest_event=first.manifest.newest_event,
        revision="revision",
    )


def test_weights_of_another_spec_are_refused_although_the_release_is_whole(
    running, lives, of_another_spec, caplog
):
    release.verify(of_another_spec.folder)
    running.service.releases.folder = of_another_spec.folder.parent
    answer = running.post("/admin/release", {"release": of_another_spec.id}, headers=TOKEN)
    assert answer.status_code == 409
    assert "weights belong to another FeatureSpec" in caplog.text
    assert running.service.live is lives[0]
    assert running.ids(user_id="u3")


def test_redis_may_go_and_come_back_under_load(redis_server, releases, lives):
    server = redis_server()
    settings = Settings(releases, server.url)
    service = Service(settings, lives[0], open_store(settings.store))
    service.store.append("u3", [Event("i1", lives[0].now())])
    phases = asyncio.run(_with_and_without(service, server))
    service.close()
    assert phases == [{"full"}, {"without_events"}, {"full"}]


async def _with_and_without(service, server) -> list[set[str]]:
    """What answers were served by: with Redis, once it was missed, and once it was found again."""
    served, over = Counter(), False
    transport = httpx.ASGITransport(app=app_of(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def ask(number: int) -> None:
            while not over:
                answer = await client.post("/recommend", json={"user_id": f"u{number}", "k": 5})
                assert answer.status_code == 200
                served[answer.json()["served_by"]] += 1
                await asyncio.sleep(0.002)

        async def until(step: str) -> set[str]:
            """What comes in a moment of nothing but ``step``, or in the last one of ten seconds."""
            end = monotonic() + 10
            while monotonic() < end:
                served.clear()
                await asyncio.sleep(0.3)
                if set(served) == {step}:
                    break
            return set(served)

        loads = [asyncio.create_task(ask(number)) for number in range(4)]
        phases = [await until("full")]
        server.stop()
        phases.append(await until("without_events"))
        server.start()
        phases.append(await until("full"))
        over = True
        await asyncio.gather(*loads)
    return phases


def refusal(**settings) -> str:
    """What `bentoml serve` says as it refuses to start."""
    told = {f"RECSYS_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "bentoml", "serve", "service:RecommenderService", "--port", "0"]
    environment = os.environ | told | {"BENTOML_DO_NOT_TRACK": "True"}
    ended = subprocess.run(command, cwd=BENTO, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    return ended.stdout + ended.stderr


@pytest.mark.slow
def test_the_service_says_in_one_line_why_it_does_not_start(releases, tmp_path):
    store = tmp_path / "store"
    open_store(str(store)).close()
    (store / "data.mdb").write_bytes(b"no database")
    damaged = tmp_path / "releases"
    shutil.copytree(releases, damaged)
    for past in damaged.glob("*/recommender/past.npz"):
        past.write_bytes(b"damaged")
    for settings, why in (
        ({"releases": releases, "store": store}, "store: cannot be opened as a store"),
        ({"releases": tmp_path / "none", "store": tmp_path / "new"}, "none: holds no release"),
        ({"releases": releases, "release": "0" * 12, "store": tmp_path / "new"}, "000000000000"),
        ({"releases": damaged, "store": tmp_path / "new"}, "past.npz: 7 bytes"),
        ({"releases": releases, "workers": "many", "store": tmp_path / "new"}, "RECSYS_WORKERS"),
    ):
        told = refusal(**settings)
        assert why in told
        assert len(told.splitlines()) == 1, told
