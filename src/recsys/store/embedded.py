"""Events in LMDB: no server, one file that all workers of a machine map."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import lmdb

from recsys.store import MOST, Event, StoreError, encode

LONGEST_KEY = 500
MAP_SIZE = 1 << 34
"""Bytes of address space; the file grows only as far as it is filled."""
MAKING = 0.5
"""Seconds that another worker may take to make a store."""


class EmbeddedStore:
    """One key a user, its events line by line."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._data = self.folder / "data.mdb"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._expect_data()
            # Without metasync a crash of the machine may lose the last write, never the file.
            self._env = lmdb.open(str(self.folder), map_size=MAP_SIZE, metasync=False, max_readers=512)
        except (OSError, lmdb.Error) as error:
            raise StoreError(f"{self.folder}: cannot be opened as a store ({error})") from error
        self._expect_all_pages()

    def _expect_data(self) -> None:
        """Refuse what was a store, and has lost its data: LMDB would begin an empty one."""
        lock, until = self.folder / "lock.mdb", time.monotonic() + MAKING
        while (lock.exists() or self._data.exists()) and not (
            self._data.exists() and self._data.stat().st_size
        ):
            if time.monotonic() > until:
                raise StoreError(f"{self._data}: is missing or empty; remove the folder to begin a new store")
            time.sleep(0.01)

    def _expect_all_pages(self) -> None:
        """Refuse a file that was cut: to read a page that is not there kills the process (SIGBUS)."""
        pages = self._env.info()["last_pgno"] + 1
        size, needed = self._data.stat().st_size, pages * self._env.stat()["psize"]
        if size < needed:
            self._env.close()
            raise StoreError(f"{self._data}: was cut, {size} bytes are left of {needed}")

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
