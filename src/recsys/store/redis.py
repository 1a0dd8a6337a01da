"""A store in Redis: one list of events a user, one hash of lists a release, one round trip a call."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

import redis

from recsys.store import MOST, Event, StoreError, encode
from recsys.types import DAY

EVENTS, LISTS, RELEASES = "recsys:events:", "recsys:lists:", "recsys:releases"
"""Keys: a user's events, a release's lists, and the ids of the releases whose lists are whole."""
AT_ONCE = 500
"""Lists in one call."""
WRITING = 3600
"""Seconds after which lists that were never finished are gone."""
KEPT = 90 * DAY
"""Seconds after a user's newest events in which they are gone."""
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
        key = EVENTS + user_id

        def write() -> Any:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.rpush(key, *(encode(event) for event in events))
                pipeline.ltrim(key, -MOST, -1)
                pipeline.expire(key, KEPT)
                return pipeline.execute()

        self._call(write)

    def read(self, user_id: str) -> bytes:
        """Stored events of a user."""
        lines: list[bytes] = self._call(lambda: self._client.lrange(EVENTS + user_id, 0, -1))
        return b"\n".join(lines)

    def write_lists(self, release: str, lists: Iterable[tuple[str, bytes]]) -> None:
        """Write the table of a release beside, and then give it its name, if there is none."""
        if self.has_lists(release):
            return
        key, rows = f"{LISTS}{release}:{uuid.uuid4().hex}", iter(lists)
        while some := dict(islice(rows, AT_ONCE)):
            self._call(lambda some=some: self._client.hset(key, mapping=some))  # type: ignore[misc]
            self._call(lambda: self._client.expire(key, WRITING))

        def name() -> Any:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.persist(key)
                pipeline.rename(key, LISTS + release)
                pipeline.sadd(RELEASES, release)
                return pipeline.execute()

        self._call(name)

    def has_lists(self, release: str) -> bool:
        """Whether there is a table of this release."""
        return bool(self._call(lambda: self._client.sismember(RELEASES, release)))

    def list_of(self, release: str, user_id: str) -> bytes | None:
        """A user's list in the table of a release."""
        found: bytes | None = self._call(lambda: self._client.hget(LISTS + release, user_id))
        return found

    def keep_lists(self, releases: Sequence[str]) -> None:
        """Drop the tables of all other releases."""
        known = {each.decode() for each in self._call(lambda: self._client.smembers(RELEASES))}
        for release in known - set(releases):

            def drop(release: str = release) -> Any:
                with self._client.pipeline(transaction=True) as pipeline:
                    pipeline.srem(RELEASES, release)
                    pipeline.unlink(LISTS + release)
                    return pipeline.execute()

            self._call(drop)

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
