"""deploy/haproxy.cfg: a real HAProxy takes each of its forms, and sends requests where it says."""

import json
import os
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from processes import Proxy, free_port

FORMS = {
    "two": {"REPLICA_ONE": "127.0.0.1:1", "REPLICA_TWO": "127.0.0.1:2"},
    "a name": {"REPLICAS": "recommender:3000"},
}


@pytest.mark.parametrize("balance", ["hash", "roundrobin"])
@pytest.mark.parametrize("form", FORMS)
def test_haproxy_takes_each_form(program, deploy, form, balance):
    told = {
        "HAPROXY_SOCKET": "/tmp/control",
        "HAPROXY_ADDRESS": ":8080",
        "HAPROXY_METRICS": ":8405",
        "HAPROXY_BALANCE": balance,
        **FORMS[form],
    }
    command = [program("haproxy"), "-c", "-f", str(deploy / "haproxy.cfg")]
    checked = subprocess.run(command, env=os.environ | told, capture_output=True, text=True)
    assert (checked.returncode, "alerts" in checked.stderr) == (0, False)


class Named(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.server.server_port).encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, *_):
        pass


@contextmanager
def server() -> Iterator[SimpleNamespace]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Named) as named:
        threading.Thread(target=named.serve_forever, daemon=True).start()
        yield SimpleNamespace(port=named.server_port)
        named.shutdown()


@pytest.fixture
def balance():
    """What HAPROXY_BALANCE says."""
    return ""


@pytest.fixture
def proxy(program, tmp_path, monkeypatch, balance):
    program("haproxy")
    monkeypatch.setenv("HAPROXY_BALANCE", balance)
    with ExitStack() as stack:
        proxy = Proxy(tmp_path, [stack.enter_context(server()) for _ in range(2)], free_port())
        stack.callback(proxy.stop)
        proxy.start()
        yield proxy


@pytest.fixture
def who_answers(proxy):
    """Ask for a user's list: the port of the server that answers."""

    def ask(user_id):
        body = json.dumps({"user_id": user_id, "k": 5}).encode()
        with urllib.request.urlopen(f"{proxy.url}/recommend", body) as answer:
            return answer.read()

    return ask


@pytest.mark.parametrize("balance", ["", "hash"])
def test_a_user_goes_to_one_replica_and_users_to_both(who_answers):
    asked = [Counter(who_answers(f"u{user}") for _ in range(3)) for user in range(40)]
    # Not always one: where the last answer still counts as load, `hash-balance-factor` hands the next one on.
    assert sum(max(each.values()) for each in asked) > 0.9 * sum(each.total() for each in asked)
    homes = Counter(each.most_common(1)[0][0] for each in asked)
    assert len(homes) == 2
    assert min(homes.values()) >= 10


@pytest.mark.parametrize("balance", ["roundrobin"])
def test_in_turn_a_user_goes_to_both(who_answers):
    assert sorted(Counter(who_answers("u1") for _ in range(20)).values()) == [10, 10]


def test_who_connects_and_asks_nothing_is_told_nothing(proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=20) as connection:
        assert connection.recv(1000) == b""  # closed after `timeout http-request`, without a 408
