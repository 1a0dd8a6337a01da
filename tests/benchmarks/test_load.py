import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, repeat

import pytest
from load import MOST, closed, opened, post

ASK = post("/recommend", b'{"user_id": "1"}')
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(answers: Iterator[bytes], pause: float = 0.0, hang_up: bool = False) -> Iterator[int]:
    """Port of a server that answers each request with the next of ``answers``, in parts, one at a time."""
    turn = threading.Lock()

    def serve(client: socket.socket) -> None:
        with client:
            while client.recv(1 << 16):
                with turn:
                    time.sleep(pause)
                    answer = next(answers)
                client.sendall(answer[:-1])
                client.sendall(answer[-1:])
                if hang_up:
                    return

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=MOST) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_each_request_is_answered_once():
    with answering(repeat(GOOD)) as port:
        load = closed(port, [ASK] * 50, 4)
    assert (len(load.seconds), load.failed) == (50, 0)


def test_time_ends_a_run_without_end():
    with answering(repeat(GOOD)) as port:
        load = closed(port, cycle([ASK]), 2, seconds=0.1)
    assert load.took >= 0.1


def test_answers_that_are_not_200_are_failures():
    with answering(cycle([GOOD, BAD])) as port:
        assert closed(port, [ASK] * 10, 1).failed == 5


@pytest.mark.parametrize("ended", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"])
def test_an_answer_that_is_cut_off_is_a_failure(ended):
    with answering(repeat(ended or b""), hang_up=True) as port:
        assert closed(port, [ASK] * 3, 1).failed == 3


def test_hanging_up_between_two_requests_is_none():
    with answering(repeat(GOOD), hang_up=True) as port:
        asks = (ASK for _ in range(5) if time.sleep(0.05) is None)
        assert closed(port, asks, 1).failed == 0


def test_who_comes_while_the_server_is_busy_waits():
    """20 requests all but at once, each of which takes 10 ms: the last waits for all of them."""
    with answering(repeat(GOOD), pause=0.01) as port:
        load = opened(port, cycle([ASK]), per_second=10_000, seconds=0.002)
    assert len(load.seconds) == 20
    assert load.seconds.max() > 0.15


def test_who_finds_no_connection_waits_too():
    with answering(repeat(GOOD), pause=0.001) as port:
        load = opened(port, cycle([ASK]), per_second=100_000, seconds=3 * MOST / 100_000)
    assert len(load.seconds) == 3 * MOST
    assert load.seconds.max() > 0.9 * 3 * MOST * 0.001
