"""Events in LMDB: no server, one file that all workers of a machine map."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import lmdb

from recsys.store import MOST, Event, StoreError, encode

LONGEST_KEY = 500
MAP_SIZE = 1 << 34
"""Bytes of address space; the file grows only as far as it is filled."""


class EmbeddedStore:
    """One key a user, its events line by line."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Without metasync a crash of the machine may lose the last write, never the file.
            self._env = lmdb.open(str(self.folder), map_size=MAP_SIZE, metasync=False, max_readers=512)
        except (OSError, lmdb.Error) as error:
            raise StoreError(f"{self.folder}: cannot be opened as a store ({error})") from error

    def append(self, user_id: str, events: Sequence[Event]) -> None:
        """Add ``events``, written as a whole or not at all."""
        key = _key(user_id)
        try:
            with self._env.begin(write=True) as transaction:
                stored = transaction.get(key)
                kept = stored.split(b"\n") if stored else []
                lines = [*kept, *(encode(event) for event in events)][-MOST:]
                transaction.put(key, b"\n".join(lines))
        except lmdb.Error as error:
            raise StoreError(f"{self.folder}: cannot be written ({error})") from error

    def read(self, user_id: str) -> bytes:
        """Stored events of a user."""
        try:
            with self._env.begin() as transaction:
                return transaction.get(_key(user_id)) or b""
        except lmdb.Error as error:
            raise StoreError(f"{self.folder}: cannot be read ({error})") from error

    def close(self) -> None:
        """Let go of the file."""
        self._env.close()


def _key(user_id: str) -> bytes:
    """LMDB's keys have 511 bytes at most: a longer id is known by its hash."""
    key = user_id.encode()
    return key if len(key) <= LONGEST_KEY else b"sha256:" + hashlib.sha256(key).digest()
