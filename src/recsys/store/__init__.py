"""What workers and machines share: what people did since a release was made, and the lists made with it.

Behind one interface: `embedded` needs no server, workers of one machine share it; `redis` is for many.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

MOST = 500
"""Events that are kept of a user; older ones give way."""


class StoreError(Exception):
    """The store cannot be read or written now; the message says why and names it."""


@dataclass(frozen=True)
class Event:
    """A user met ``item_id`` at ``timestamp`` (seconds); ``value`` as in the interactions, None if untold."""

    item_id: str
    timestamp: int
    value: float | None = None


class Store(Protocol):
    """Events of users, oldest first as they came, `MOST` of each at most; a table of lists for each release.

    ``read`` gives events as they are stored, b"" for whoever did nothing: equal bytes are equal events, so
    they tell whether an answer is still good. ``write_lists`` makes the table of a release, (user_id, list)
    pairs, visible as a whole or not at all; where there is one it stays. ``list_of`` is None for whoever is
    not in it. ``keep_lists`` drops the tables of all but some releases. Methods raise StoreError.
    """

    def append(self, user_id: str, events: Sequence[Event]) -> None: ...
    def read(self, user_id: str) -> bytes: ...
    def write_lists(self, release: str, lists: Iterable[tuple[str, bytes]]) -> None: ...
    def has_lists(self, release: str) -> bool: ...
    def list_of(self, release: str, user_id: str) -> bytes | None: ...
    def keep_lists(self, releases: Sequence[str]) -> None: ...
    def close(self) -> None: ...


def encode(event: Event) -> bytes:
    """One line of JSON without its end."""
    return orjson.dumps([event.item_id, event.timestamp, event.value])


def decode(stored: bytes) -> list[Event]:
    """Events of what `Store.read` gave."""
    return [Event(*orjson.loads(line)) for line in stored.split(b"\n")] if stored else []


def open_store(url: str) -> Store:
    """Open the store at ``url``: ``redis://...``, or a folder for the embedded one; else StoreError."""
    if url.startswith(("redis://", "rediss://", "unix://")):
        from recsys.store.redis import RedisStore

        return RedisStore(url)
    from recsys.store.embedded import EmbeddedStore

    return EmbeddedStore(url)
