"""Lists made with releases, in the store that workers share."""

import asyncio

import pytest
from app import Service
from settings import Settings

from recsys.pipeline import FALLBACK
from recsys.serving import TABLES, Live
from recsys.store import open_store


@pytest.fixture
def broken(running, monkeypatch):
    """A service that can compute nothing."""

    def fail(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(type(running.service.live.recommender), "recall", fail)
    return running


def test_a_started_service_has_put_the_lists_of_its_release_into_the_store(running, lives):
    stored = running.service.store.list_of(lives[0].id, "u3")
    assert stored is not None
    assert lives[0].list_of("u3") == stored


def test_what_cannot_be_computed_is_looked_up(running, broken, lives):
    answer = broken.post("/recommend", {"user_id": "u3", "k": 5}).json()
    assert (answer["served_by"], len(answer["items"])) == (TABLES, 5)
    assert broken.post("/recommend", {"user_id": "nobody"}).json()["served_by"] == FALLBACK


def test_what_is_looked_up_is_what_would_be_computed(running, monkeypatch):
    computed = running.ids(user_id="u3", k=5)
    with monkeypatch.context() as patch:
        patch.setattr(running.service.cache, "get", lambda *_: None)
        patch.setattr(type(running.service.live.recommender), "recall", None)
        assert running.ids(user_id="u3", k=5) == computed


def test_a_swap_brings_its_lists_and_those_before_the_last_go(built, recommender, tmp_path):
    folder = tmp_path / "releases"
    ids = [built(recommender, folder, number=number).id for number in range(3)]
    service = Service(Settings(folder), Live.load(folder / ids[0]), open_store(str(tmp_path / "store")))
    had = []
    for id_ in ids[1:]:
        asyncio.run(service.releases.switch(id_))
        had.append([service.store.has_lists(each) for each in ids])
    assert had == [[True, True, False], [False, True, True]]
    service.close()


def test_where_others_have_gone_over_lists_are_read_from_the_file(releases, lives, tmp_path):
    live = Live.load(releases / lives[0].id)
    service = Service(Settings(releases), live, open_store(str(tmp_path / "store")))
    stored = live.list_of("u3")
    service.store.keep_lists(["another"])
    assert live.list_of("u3") == stored
    assert stored is not None
    service.close()


def test_without_a_store_lists_stay_in_the_file(releases, lives, redis_server, running):
    stored = running.service.store.list_of(lives[0].id, "u3")
    server = redis_server()
    store = open_store(server.url)
    server.stop()
    live = Live.load(releases / lives[0].id)
    service = Service(Settings(releases), live, store)
    assert live.list_of("u3") == stored
    assert live.list_of("nobody") is None
    service.close()
