"""A load generator: connections that send prepared requests and time each answer.

One thread around `select`, which waits to the microsecond: asking must take far less than answering does, and
must not be late by itself. No garbage is collected while it runs.
"""

from __future__ import annotations

import gc
import math
import re
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, takewhile
from time import perf_counter, process_time

import numpy as np

MOST = 64
"""Connections of an open load; who comes when all are taken waits."""
STUCK = 30.0
"""Seconds without any answer after which a run is given up."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What a run saw.

    ``seconds`` of each answer (n,), how long all ``took``, how many answers ``failed`` (were not 200), and
    which share of a core the asking itself kept ``busy``.
    """

    seconds: np.ndarray
    took: float
    failed: int
    busy: float

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.quantile(self.seconds, share) * 1000)


def post(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    kind = "host: localhost\r\ncontent-type: application/json"
    return f"POST {path} HTTP/1.1\r\n{kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def closed(port: int, requests: Iterable[bytes], connections: int, seconds: float = math.inf) -> Load:
    """Each connection asks again as soon as it is answered, until time or requests end."""
    run = _Run(port, connections)
    with run.measured():
        for request in requests:
            run.ask(request)
            if perf_counter() - run.began > seconds:
                break
    return run.load()


def during(port: int, requests: Sequence[bytes], connections: int, happens: Callable[[], object]) -> Load:
    """`closed` for as long as ``happens`` takes, which may raise."""
    over = threading.Event()
    asked = takewhile(lambda _: not over.is_set(), cycle(requests))
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(closed, port, asked, connections)
        try:
            happens()
        finally:
            over.set()
    return load.result()


def opened(port: int, requests: Iterator[bytes], per_second: float, seconds: float, seed: int = 0) -> Load:
    """Requests come when they come (Poisson); a late start counts as waiting."""
    n = max(1, round(per_second * seconds))
    starts = np.random.default_rng(seed).exponential(1 / per_second, n).cumsum().tolist()
    run = _Run(port, MOST)
    with run.measured():
        for start in starts:
            due = run.began + start
            while (early := due - perf_counter()) > 0:
                run.listen(early)
            run.ask(next(requests), due)
    return run.load()


class _Connection:
    """One request at a time, over a connection that stays open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._open()

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, request: bytes, since: float) -> None:
        """Send ``request``, which has been waiting ``since``."""
        if self._hung_up():
            self.socket.close()
            self._open()
        self.asked_at, self.received = since, b""
        self.socket.sendall(request)

    def answer(self) -> int | None:
        """Status of an answer that is whole, 0 where the server hung up, None where more must come."""
        try:
            part = self.socket.recv(1 << 16)
        except ConnectionResetError:
            part = b""
        if not part:
            return 0
        self.received += part
        head = self.received.find(b"\r\n\r\n")
        length = LENGTH.search(self.received, 0, head) if head > 0 else None
        if length is None or len(self.received) < head + 4 + int(length[1]):
            return None
        return int(self.received[9:12])

    def _open(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _hung_up(self) -> bool:
        """Servers do, where nothing was asked for some seconds."""
        try:
            return not self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True


class _Run:
    """Connections, idle and asked, and what they have seen since ``began``."""

    def __init__(self, port: int, connections: int) -> None:
        self.idle = [_Connection(port) for _ in range(connections)]
        self.asked: set[_Connection] = set()
        self.seconds: list[float] = []
        self.failed = 0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Ask within this block; at its end all answers are awaited."""
        gc.collect()
        gc.freeze()
        gc.disable()
        worked, self.began = process_time(), perf_counter()
        try:
            yield
            while self.asked:
                self.wait()
            self.took = perf_counter() - self.began
            self.busy = (process_time() - worked) / self.took
        finally:
            gc.enable()
            gc.unfreeze()
            for connection in (*self.idle, *self.asked):
                connection.socket.close()

    def ask(self, request: bytes, since: float | None = None) -> None:
        """Send ``request`` once a connection is idle; it has been waiting ``since``, or from then on."""
        while not self.idle:
            self.wait()
        connection = self.idle.pop()
        connection.ask(request, perf_counter() if since is None else since)
        self.asked.add(connection)

    def listen(self, timeout: float) -> bool:
        """Take the answers that are there, or those that come first within ``timeout``; False if none did."""
        ready = select.select(self.asked, (), (), timeout)[0]
        for connection in ready:
            status = connection.answer()
            if status is not None:
                self.seconds.append(perf_counter() - connection.asked_at)
                self.failed += status != 200
                self.asked.remove(connection)
                self.idle.append(connection)
        return bool(ready)

    def wait(self) -> None:
        """`listen` for as long as it takes."""
        if not self.listen(STUCK):
            raise TimeoutError(f"no answer for {STUCK:.0f} seconds")

    def load(self) -> Load:
        return Load(np.array(self.seconds), self.took, self.failed, self.busy)
