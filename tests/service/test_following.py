"""All workers go over to the release that is pointed at."""

import asyncio
import shutil
import time
from pathlib import Path

import following
import httpx
import pytest
from app import Service
from settings import Settings

from recsys.cli import main
from recsys.release import point, pointer
from recsys.store import open_store


@pytest.fixture
def folder(releases, tmp_path) -> Path:
    """The two releases, in a folder of this test."""
    copied = tmp_path / "releases"
    shutil.copytree(releases, copied)
    return copied


@pytest.fixture
def services(folder, lives, tmp_path, monkeypatch):
    """Two workers of one folder."""
    monkeypatch.setattr(following, "EVERY", 0.02)
    stores = [open_store(str(tmp_path / name)) for name in ("one", "other")]
    made = [Service(Settings(folder), lives[0], store) for store in stores]
    yield made
    for service in made:
        service.close()


def followed(services, until, do=lambda: None, seconds=10.0) -> bool:
    """Do something while ``services`` follow; whether ``until`` came true in time."""

    async def run() -> bool:
        tasks = [asyncio.create_task(each.releases.follow()) for each in services]
        await asyncio.sleep(0.05)
        result = do()
        if asyncio.iscoroutine(result):
            await result
        for _ in range(int(seconds / 0.02)):
            if until():
                break
            await asyncio.sleep(0.02)
        for task in tasks:
            assert not task.done(), task.exception()
            task.cancel()
        return until()

    return asyncio.run(run())


def ids(services) -> set[str]:
    return {each.live.id for each in services}


def test_workers_follow_the_pointer(services, folder, lives):
    assert followed(services, lambda: ids(services) == {lives[1].id}, lambda: point(folder, lives[1].id))
    assert followed(services, lambda: ids(services) == {lives[0].id}, lambda: point(folder, lives[0].id))


def test_a_switch_in_one_worker_is_followed_by_the_other(services, lives):
    def switch():
        return services[0].releases.switch(lives[1].id)

    assert followed(services, lambda: ids(services) == {lives[1].id}, switch)


def test_a_release_that_cannot_be_loaded_is_refused_by_all_and_told_once(services, folder, lives, caplog):
    point(folder, lives[1].id)
    weights = folder / lives[1].id / "recommender" / "past.npz"
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    assert followed(services, lambda: all(each.releases.refused for each in services))
    assert not followed(services, lambda: False, seconds=0.3)
    assert ids(services) == {lives[0].id}
    assert sum(lives[1].id in line for line in caplog.messages) == len(services)
    # Mended and pointed at again, it is loaded.
    weights.write_bytes(whole)
    assert followed(services, lambda: ids(services) == {lives[1].id}, lambda: point(folder, lives[1].id))
    assert [each.releases.refused for each in services] == [None, None]


def test_a_refused_release_is_told(running, lives):
    running.service.releases.refused = lives[1].id
    assert running.client.get("/release").json()["refused"] == lives[1].id


def test_a_worker_that_is_pinned_follows_what_is_pointed_at_later(folder, lives, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "EVERY", 0.02)
    point(folder, lives[1].id)
    store = open_store(str(tmp_path / "store"))
    service = Service(Settings(folder, release=lives[0].id), lives[0], store)
    assert not followed([service], lambda: service.live.id == lives[1].id, seconds=0.3)
    assert followed([service], lambda: service.live.id == lives[1].id, lambda: point(folder, lives[1].id))
    service.close()


@pytest.mark.slow
def test_both_workers_of_a_served_service_follow(serve, folder, lives, tmp_path):
    with serve(releases=folder, store=tmp_path / "store", workers=2, admin_token="token") as url:

        def workers(id_: str) -> bool:
            return f'recsys_workers{{release="{id_}"}} 2.0' in httpx.get(f"{url}/metrics").text

        def soon(id_: str) -> bool:
            return any(workers(id_) or time.sleep(0.1) for _ in range(150))

        assert soon(lives[1].id)
        asked = {"json": {"release": lives[0].id}, "headers": {"authorization": "Bearer token"}}
        assert httpx.post(f"{url}/admin/release", **asked, timeout=30).status_code == 200
        assert soon(lives[0].id)
        told = [httpx.get(f"{url}/release").json()["release"] for _ in range(40)]
        assert set(told) == {lives[0].id}
        point(folder, lives[1].id)
        assert soon(lives[1].id)


def test_the_command_line_shows_and_switches(folder, lives, capsys):
    told = ["release", "live", "--releases", str(folder)]
    assert main(told) == 0
    assert main([*told[:2], lives[0].id, *told[2:]]) == 0
    assert main(told) == 0
    assert capsys.readouterr().out.split() == [lives[1].id, lives[0].id, lives[0].id]
    assert main(["release", "list", "--releases", str(folder)]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "live" in line]
    assert line.startswith(lives[0].id)


def test_the_command_line_does_not_switch_to_what_does_not_answer(folder, lives, capsys):
    (folder / lives[1].id / "recommender" / "past.npz").write_bytes(b"damaged")
    assert main(["release", "live", lives[1].id, "--releases", str(folder)]) == 2
    assert "past.npz" in capsys.readouterr().err
    assert pointer(folder) is None
