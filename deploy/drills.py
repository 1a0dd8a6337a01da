"""What may happen to the stack while requests come in. None may fail."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from processes import Server, ServerError
from stack import Stack

NOTICED = 2.0
"""Seconds in which HAProxy sees that a replica is away, stands still or is back, and more."""
SWAPPED = 20.0
"""Seconds that replicas may take to go over to a release that was published."""


def expect_away(server: Server) -> None:
    """A drill in which nothing happens shows nothing."""
    if server.is_ready():
        raise ServerError(f"{type(server).__name__} still answers")


def killed(stack: Stack, other: Path) -> None:
    """A replica's machine is gone at once, and comes back."""
    _gone(stack.replicas[0], stack.replicas[0].kill)


def terminated(stack: Stack, other: Path) -> None:
    """A replica is asked to end, and started again."""
    _gone(stack.replicas[0], stack.replicas[0].stop)


def _gone(server: Server, end: Callable[[], None]) -> None:
    """``end`` the server, and start it again once everybody has noticed."""
    end()
    expect_away(server)
    time.sleep(NOTICED)
    server.start()
    time.sleep(NOTICED)


def stopped(stack: Stack, other: Path) -> None:
    """A replica stands still, connections open, and goes on."""
    stack.replicas[0].send(signal.SIGSTOP)
    time.sleep(NOTICED)
    expect_away(stack.replicas[0])
    stack.replicas[0].send(signal.SIGCONT)
    time.sleep(NOTICED)


def drained(stack: Stack, other: Path) -> None:
    """A replica gets no new requests, and then some again."""
    stack.proxy.ask("set server replicas/one state drain")
    time.sleep(NOTICED)
    stack.proxy.ask("set server replicas/one state ready")
    time.sleep(NOTICED)


def rolled(stack: Stack, other: Path) -> None:
    """Each replica in turn is drained, stopped and started again."""
    for name, replica in zip(("one", "two"), stack.replicas, strict=True):
        stack.proxy.ask(f"set server replicas/{name} state drain")
        time.sleep(NOTICED / 2)
        replica.stop()
        expect_away(replica)
        replica.start()
        stack.proxy.ask(f"set server replicas/{name} state ready")
        time.sleep(NOTICED)


def swapped(stack: Stack, other: Path) -> None:
    """Another release is published, and all replicas go over to it."""
    stack.publish(other)
    end = time.monotonic() + SWAPPED
    while {replica.release() for replica in stack.replicas} != {other.name}:
        if time.monotonic() > end:
            raise ServerError(f"replicas do not go over to {other.name}")
        time.sleep(0.1)


def without_redis(stack: Stack, other: Path) -> None:
    """Redis is gone, and comes back empty."""
    _gone(stack.redis, stack.redis.kill)


def without_s3(stack: Stack, other: Path) -> None:
    """S3 is gone, and comes back."""
    _gone(stack.s3, stack.s3.kill)


DRILLS: Mapping[str, Callable[[Stack, Path], None]] = {
    "killed": killed,
    "terminated": terminated,
    "stopped": stopped,
    "drained": drained,
    "rolled": rolled,
    "swapped": swapped,
    "without_redis": without_redis,
    "without_s3": without_s3,
}
"""By name; each is told the stack and a folder with a release that is not the one that answers."""
