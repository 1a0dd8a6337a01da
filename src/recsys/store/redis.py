"""Events in Redis: one list a user, one round trip a call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import redis

from recsys.store import MOST, Event, StoreError, encode

PREFIX = "recsys:events:"
TIMEOUT = 0.1
"""Seconds that a call may take."""
PAUSE = 1.0
"""Seconds for which a store that failed is not asked again: requests must not queue up before it."""


class RedisStore:
    """Where Redis is away, each call fails at once until it is back."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed_at = -PAUSE
        try:
            self._client = redis.Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
        except ValueError as error:
            raise StoreError(f"{error}") from error

    def append(self, user_id: str, events: Sequence[Event]) -> None:
        """Add ``events``, all of them or none."""
        key = PREFIX + user_id

        def write() -> Any:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.rpush(key, *(encode(event) for event in events))
                pipeline.ltrim(key, -MOST, -1)
                return pipeline.execute()

        self._call(write)

    def read(self, user_id: str) -> bytes:
        """Stored events of a user."""
        lines: list[bytes] = self._call(lambda: self._client.lrange(PREFIX + user_id, 0, -1))
        return b"\n".join(lines)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _call(self, ask: Callable[[], Any]) -> Any:
        if self._clock() - self._failed_at < PAUSE:
            raise StoreError("redis: was away a moment ago")
        try:
            return ask()
        except redis.RedisError as error:
            self._failed_at = self._clock()
            raise StoreError(f"redis: {error}") from error
