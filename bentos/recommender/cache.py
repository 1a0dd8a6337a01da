"""Answers that are still good."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from time import monotonic

from wire import Reply

from recsys.serving import Ask

OVERHEAD = 1000
"""Bytes of an entry beside the answer's, about."""


class AnswerCache:
    """Answers by user, the least recently asked users' dropped first; ``most`` bytes in all, 0 keeps none.

    An answer is good for ``seconds``, as long as the release and the stored events of its user are those
    it was made from.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.size = 0
        self._users: OrderedDict[str, dict[Ask, tuple[str, bytes, float, Reply]]] = OrderedDict()

    def get(self, ask: Ask, release: str, stored: bytes) -> Reply | None:
        """The answer to ``ask``, None where there is no good one."""
        kept = self._users.get(ask.user_id, {}).get(ask)
        if kept is None or kept[:2] != (release, _mark(stored)) or kept[2] < monotonic():
            return None
        self._users.move_to_end(ask.user_id)
        return kept[3]

    def put(self, ask: Ask, release: str, stored: bytes, answer: Reply) -> None:
        """Keep ``answer``."""
        if _size(answer) > self.most:
            return
        asks = self._users.setdefault(ask.user_id, {})
        if ask in asks:
            self.size -= _size(asks[ask][3])
        asks[ask] = (release, _mark(stored), monotonic() + self.seconds, answer)
        self.size += _size(answer)
        self._users.move_to_end(ask.user_id)
        while self.size > self.most:
            self.drop(next(iter(self._users)))

    def drop(self, user_id: str) -> None:
        """Forget a user's answers."""
        self.size -= sum(_size(each[3]) for each in self._users.pop(user_id, {}).values())


def _mark(stored: bytes) -> bytes:
    """What tells stored events from others, and takes less room."""
    return hashlib.blake2b(stored, digest_size=16).digest() if stored else b""


def _size(answer: Reply) -> int:
    return len(answer.content) + OVERHEAD
