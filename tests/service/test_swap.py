"""Going over to another release while requests come in."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from app import Service, app_of
from settings import Settings

from recsys.pipeline import Reranking
from recsys.serving import Ask, Live
from recsys.store import open_store

SWAPS, TOKEN = 20, "a token for tests"


@pytest.mark.slow
def test_no_answer_fails_or_mixes_two_releases(recommender, built, tmp_path):
    other = replace(recommender, reranking=Reranking(pool=40, relevance_weight=0.5))
    ids = [built(each, tmp_path, number=n).id for n, each in enumerate((recommender, other))]
    lives = {id_: Live.load(tmp_path / id_) for id_ in ids}
    users = [f"u{number}" for number in range(20)]
    expected = {
        (id_, user): [item["item_id"] for item in live.recommend(Ask(user), ()).items]
        for id_, live in lives.items()
        for user in users
    }
    assert any(expected[ids[0], user] != expected[ids[1], user] for user in users)
    # A busy machine must not make answers that have less in them.
    settings = Settings(tmp_path, str(tmp_path / "store"), admin_token=TOKEN, deadline_ms=60_000)
    service = Service(settings, lives[ids[0]], open_store(settings.store))
    answered = asyncio.run(_swapped_under_load(service, ids, users, expected))
    service.close()
    assert answered > 10 * SWAPS


async def _swapped_under_load(service, ids, users, expected) -> int:
    transport, answered, over = httpx.ASGITransport(app=app_of(service)), 0, False
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

        async def ask() -> None:
            nonlocal answered
            while not over:
                for user in users:
                    answer = await client.post("/recommend", json={"user_id": user})
                    assert answer.status_code == 200
                    told = answer.json()
                    assert [item["item_id"] for item in told["items"]] == expected[told["release"], user]
                    answered += 1
                    await asyncio.sleep(0.001)  # no network waits here, and others must have their turn

        loads = [asyncio.create_task(ask()) for _ in range(4)]
        for number in range(SWAPS):
            headers = {"authorization": f"Bearer {TOKEN}"}
            wanted = {"release": ids[(number + 1) % 2]}
            swapped = await client.post("/admin/release", json=wanted, headers=headers)
            assert swapped.status_code == 200
        over = True
        await asyncio.gather(*loads)
    return answered
