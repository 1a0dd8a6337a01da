"""A store in LMDB: no server, one file that all workers of a machine map."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import lmdb

from recsys.store import MOST, Event, StoreError, encode

LONGEST_KEY = 480
"""Bytes of a user id; with a release's before it, LMDB's 511 are enough."""
MAP_SIZE = 1 << 34
"""Bytes of address space; the file grows only as far as it is filled."""
AT_ONCE = 500
"""Lists in one transaction."""
MAKING = 0.5
"""Seconds that another worker may take to make a store."""


BETWEEN, BEHIND = b":", b";"
"""Between a release's id (alone: all its lists are there) and a user's; behind all of a release's."""


class EmbeddedStore:
    """A table of events, line by line, a key a user, and one of lists, a key a release and user."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._data = self.folder / "data.mdb"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._expect_data()
            # Without metasync a crash of the machine may lose the last write, never the file.
            self._env = lmdb.open(
                str(self.folder), map_size=MAP_SIZE, metasync=False, max_readers=512, max_dbs=2
            )
        except (OSError, lmdb.Error) as error:
            raise StoreError(f"{self.folder}: cannot be opened as a store ({error})") from error
        self._expect_all_pages()
        self._events, self._lists = self._env.open_db(b"events"), self._env.open_db(b"lists")

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
        with self._begun(write=True) as transaction:
            stored = bytes(transaction.get(key, b"", db=self._events))
            kept = stored.split(b"\n") if stored else []
            lines = [*kept, *(encode(event) for event in events)][-MOST:]
            transaction.put(key, b"\n".join(lines), db=self._events)

    def read(self, user_id: str) -> bytes:
        """Stored events of a user."""
        with self._begun() as transaction:
            return bytes(transaction.get(_key(user_id), b"", db=self._events))

    def write_lists(self, release: str, lists: Iterable[tuple[str, bytes]]) -> None:
        """Write the lists of a release, if there are none: some at a time, for events wait meanwhile."""
        own, rows = release.encode(), iter(lists)
        while not self.has_lists(release):
            some = list(islice(rows, AT_ONCE))
            with self._begun(write=True) as transaction:
                for user_id, each in some:
                    transaction.put(own + BETWEEN + _key(user_id), each, db=self._lists)
                if not some:
                    transaction.put(own, b"", db=self._lists)

    def has_lists(self, release: str) -> bool:
        """Whether there are lists of this release."""
        with self._begun() as transaction:
            return transaction.get(release.encode(), db=self._lists) is not None

    def list_of(self, release: str, user_id: str) -> bytes | None:
        """A user's list of a release."""
        own = release.encode()
        with self._begun() as transaction:
            whole = transaction.get(own, db=self._lists) is not None
            found = transaction.get(own + BETWEEN + _key(user_id), db=self._lists) if whole else None
            return None if found is None else bytes(found)

    def keep_lists(self, releases: Sequence[str]) -> None:
        """Drop the lists of all other releases."""
        kept = {release.encode() for release in releases}
        with self._begun(write=True) as transaction:
            cursor = transaction.cursor(self._lists)
            left = cursor.first()
            while left:
                release = bytes(cursor.key()).partition(BETWEEN)[0]
                if release in kept:
                    left = cursor.set_range(release + BEHIND)
                else:
                    cursor.delete()
                    left = bool(cursor.key())

    @contextmanager
    def _begun(self, write: bool = False) -> Iterator[lmdb.Transaction]:
        try:
            with self._env.begin(write=write) as transaction:
                yield transaction
        except lmdb.Error as error:
            done = "written" if write else "read"
            raise StoreError(f"{self.folder}: cannot be {done} ({error})") from error

    def close(self) -> None:
        """Let go of the file."""
        self._env.close()


def _key(user_id: str) -> bytes:
    """A longer id is known by its hash."""
    key = user_id.encode()
    return key if len(key) <= LONGEST_KEY else b"sha256:" + hashlib.sha256(key).digest()
