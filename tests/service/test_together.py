"""Requests that are answered in one go."""

import asyncio

import pytest
from together import Together

from recsys.serving import Ask, Live


@pytest.fixture
def live(recommender, monkeypatch):
    """A release that cannot make the request of u5; ``batches`` are the users it answered together."""
    live, batches = Live("0" * 12, recommender), []
    requests, answered = live.requests, live.recommend_all

    def made(asks, events):
        if any(ask.user_id == "u5" for ask in asks):
            raise RuntimeError("broken")
        return requests(asks, events)

    def recommend_all(asks, *arguments, **options):
        batches.append([ask.user_id for ask in asks])
        return answered(asks, *arguments, **options)

    monkeypatch.setattr(live, "requests", made)
    monkeypatch.setattr(live, "recommend_all", recommend_all)
    live.batches = batches
    return live


def answers(live, users):
    async def ask():
        together = Together(60)
        waiting = (together.answer(live, Ask(user_id, 5), (), traced=False) for user_id in users)
        return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(ask())


def test_those_that_wait_at_the_same_time_are_answered_in_one_go(live):
    users = [f"u{n}" for n in range(10, 20)]
    assert all(answer.served_by == "full" for answer in answers(live, users))
    assert live.batches == [users[:8], users[8:]]


def test_one_that_cannot_be_answered_takes_nothing_from_those_beside_it(live):
    alone = [answers(live, [user_id])[0].items for user_id in ("u3", "u4")]
    third, broken, fourth = answers(live, ["u3", "u5", "u4"])
    assert [third.items, fourth.items] == alone
    assert isinstance(broken, RuntimeError)


def test_a_worker_stays_awake_after_an_answer_and_then_sleeps(live, monkeypatch):
    async def turns(awake):
        together, loop, asked = Together(60, awake), asyncio.get_running_loop(), []
        soon = loop.call_soon
        await together.answer(live, Ask("u3", 5), (), traced=False)
        monkeypatch.setattr(
            loop, "call_soon", lambda call, *args, **how: asked.append(call) or soon(call, *args, **how)
        )
        await asyncio.sleep(1)
        return asked.count(together._stay_awake), together._is_awake

    assert asyncio.run(turns(0)) == (0, False)
    busy, awake = asyncio.run(turns(0.3))
    assert busy > 20
    assert not awake
