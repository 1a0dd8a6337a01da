"""One contract for both engines, each a real one."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys.store import MOST, Event, Store, StoreError, decode, open_store
from recsys.store.redis import KEPT, PAUSE, RedisStore

ENGINES = ["embedded", "redis"]
events = st.builds(
    Event,
    st.text(min_size=1, max_size=20),
    st.integers(0, 1 << 40),
    st.none() | st.floats(-1e6, 1e6, width=32),
)


@pytest.fixture(scope="module")
def server(redis_server):
    return redis_server()


@pytest.fixture
def url(request, tmp_path) -> str:
    if request.param == "embedded":
        return str(tmp_path / "store")
    server = request.getfixturevalue("server")
    redis.Redis(port=server.port).flushall()
    return server.url


@pytest.fixture
def store(url) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


both = pytest.mark.parametrize("url", ENGINES, indirect=True)
runs = st.lists(st.lists(events, min_size=1, max_size=5), max_size=4)


@both
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(appended=runs, user_id=st.text(min_size=1, max_size=300))
def test_events_come_back_in_the_order_they_came(store, appended, user_id):
    before = decode(store.read(user_id))
    for each in appended:
        store.append(user_id, each)
    assert decode(store.read(user_id)) == (before + [event for each in appended for event in each])[-MOST:]


@both
def test_whoever_did_nothing_has_nothing(store):
    assert store.read("nobody") == b""
    assert decode(b"") == []


@both
def test_events_of_others_are_theirs(store):
    store.append("one", [Event("a", 1)])
    assert store.read("other") == b""


@both
def test_the_oldest_give_way(store):
    for start in range(0, MOST + 50, 50):
        store.append("u", [Event("item", start + n) for n in range(50)])
    kept = decode(store.read("u"))
    assert len(kept) == MOST
    assert (kept[0].timestamp, kept[-1].timestamp) == (50, MOST + 49)


@both
def test_events_are_there_after_a_restart(url):
    first = open_store(url)
    first.append("u", [Event("a", 1, 2.5)])
    first.close()
    again = open_store(url)
    assert decode(again.read("u")) == [Event("a", 1, 2.5)]
    again.close()


@both
def test_equal_bytes_are_equal_events(store):
    store.append("u", [Event("a", 1)])
    before = store.read("u")
    assert store.read("u") == before
    store.append("u", [Event("a", 1)])
    assert store.read("u") != before


def test_a_redis_that_is_away_fails_at_once_and_is_found_again(redis_server):
    server, clock = redis_server(), [0.0]
    store = RedisStore(server.url, clock=lambda: clock[0])
    store.append("u", [Event("a", 1)])
    server.stop()
    with pytest.raises(StoreError, match="redis"):
        store.read("u")
    server.start()
    with pytest.raises(StoreError, match="was away a moment ago"):
        store.read("u")
    clock[0] += PAUSE
    assert store.read("u") == b""
    store.close()


def test_a_redis_that_hangs_is_not_waited_for():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        store = RedisStore(f"redis://127.0.0.1:{deaf.getsockname()[1]}")
        with pytest.raises(StoreError, match="redis"):
            store.read("u")
        store.close()


def test_a_store_that_cannot_be_opened_names_its_place(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="file"):
        open_store(str(tmp_path / "file"))


def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    open_store(str(tmp_path / "a" / "b")).close()
    assert (tmp_path / "a" / "b" / "data.mdb").is_file()


@pytest.fixture
def filled(tmp_path):
    """Folder of a store with events of many users."""
    opened = open_store(str(tmp_path))
    for number in range(300):
        opened.append(f"u{number}", [Event("an item with a name", number)] * 5)
    opened.close()
    return tmp_path


READ_ALL = """
import sys
from recsys.store import StoreError, open_store
try:
    store = open_store(sys.argv[1])
    print(sum(store.read(f"u{number}") != b"" for number in range(300)))
except StoreError as error:
    sys.exit(str(error))
"""


def read_elsewhere(folder) -> subprocess.CompletedProcess:
    """Read the store in a process of its own: what is cut may kill it."""
    return subprocess.run([sys.executable, "-c", READ_ALL, str(folder)], capture_output=True, text=True)


def test_a_whole_store_is_read(filled):
    assert read_elsewhere(filled).stdout == "300\n"


@pytest.mark.parametrize("left", [0, 1, 5000, 8192, 0.5, -4096, -1])
def test_a_cut_store_is_refused_and_kills_nobody(filled, left):
    data = filled / "data.mdb"
    size = data.stat().st_size
    os.truncate(data, int(size * left) if left == 0.5 else left % size)
    read = read_elsewhere(filled)
    assert read.returncode == 1
    assert str(filled) in read.stderr
    assert len(read.stderr.splitlines()) == 1


def test_a_store_whose_data_is_gone_is_refused(filled):
    (filled / "data.mdb").unlink()
    with pytest.raises(StoreError, match=r"data.mdb: is missing or empty; remove the folder"):
        open_store(str(filled))


def test_a_store_in_use_never_looks_cut(tmp_path):
    for number in range(50):
        opened = open_store(str(tmp_path))
        for n in range(number % 7 + 1):
            opened.append(f"u{n * number}", [Event("an item", n)] * (number * n % 90 + 1))
        opened.close()


def test_a_damaged_store_is_refused(tmp_path):
    opened = open_store(str(tmp_path))
    opened.append("u", [Event("a", 1)])
    opened.close()
    (tmp_path / "data.mdb").write_bytes(b"no lmdb" * 2000)
    with pytest.raises(StoreError, match="cannot be opened as a store"):
        open_store(str(tmp_path))


LISTS = [(f"u{n}", bytes([n % 256]) * 8) for n in range(1200)]


@both
def test_a_releases_lists_are_there_as_a_whole_and_apart_from_others(store):
    assert not store.has_lists("one")
    assert store.list_of("one", "u3") is None
    store.write_lists("one", [(user_id, each[:4]) for user_id, each in LISTS])
    store.write_lists("two", LISTS)
    assert store.has_lists("one")
    assert store.list_of("one", "u3") == b"\x03" * 4
    assert store.list_of("two", "u1199") == LISTS[1199][1]
    assert store.list_of("two", "nobody") is None
    assert store.read("u3") == b""


def test_in_redis_events_of_whoever_stays_away_are_gone_some_day(server):
    store = open_store(server.url)
    store.append("u1", [Event("i1", 1)])
    assert 0 < redis.Redis(port=server.port).ttl("recsys:events:u1") <= KEPT
    store.close()


def test_events_need_not_wait_for_all_of_a_releases_lists(tmp_path):
    store, rows = open_store(str(tmp_path)), iter(LISTS)
    event = threading.Thread(target=store.append, args=("u1", [Event("i1", 1)]), daemon=True)

    def while_an_event_comes():
        yield from islice(rows, 600)
        event.start()
        event.join(5)
        assert not event.is_alive()
        yield from rows

    store.write_lists("one", while_an_event_comes())
    assert store.list_of("one", "u1199") == LISTS[1199][1]
    assert decode(store.read("u1")) == [Event("i1", 1)]


@both
def test_lists_that_are_there_stay_and_those_of_old_releases_go(store):
    for release in ("one", "two", "three"):
        store.write_lists(release, LISTS[:3])
    store.write_lists("two", [("u1", b"another")])
    store.append("u1", [Event("i1", 1)])
    store.keep_lists(["two", "three", "four"])
    assert [store.has_lists(each) for each in ("one", "two", "three", "four")] == [False, True, True, False]
    assert store.list_of("one", "u1") is None
    assert store.list_of("two", "u1") == LISTS[1][1]
    assert decode(store.read("u1")) == [Event("i1", 1)]


@both
def test_lists_whose_writing_broke_off_are_not_there(store):
    def breaks_off():
        yield from LISTS[:700]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_lists("one", breaks_off())
    assert not store.has_lists("one")
    assert store.list_of("one", "u1") is None
    store.write_lists("one", LISTS)
    assert store.list_of("one", "u1") == LISTS[1][1]


OTHER = """
import sys
from recsys.store import open_store

store = open_store(sys.argv[1])
for line in sys.stdin:
    print(store.list_of("one", "u1"), flush=True)
"""


@both
def test_another_worker_sees_lists_come_and_go(store, url):
    command = [sys.executable, "-c", OTHER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:

        def seen():
            print(file=other.stdin, flush=True)
            return other.stdout.readline().strip()

        assert seen() == "None"
        store.write_lists("one", LISTS[:3])
        assert seen() == repr(LISTS[1][1])
        store.keep_lists([])
        assert seen() == "None"
        store.write_lists("one", [("u1", b"anew")])
        assert seen() == "b'anew'"
        other.stdin.close()
