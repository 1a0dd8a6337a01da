"""Answers that are still good."""

from __future__ import annotations

import hashlib
from collections import deque
from mmap import mmap
from time import monotonic
from typing import NamedTuple

from wire import Reply

from recsys.serving import Ask


class _Kept(NamedTuple):
    """An answer's place, and what it is good for."""

    ask: Ask
    release: str
    mark: bytes
    until: float
    start: int
    end: int
    served_by: str | None


class AnswerCache:
    """Answers, the oldest dropped first; ``most`` bytes of them in all, 0 keeps none.

    An answer is good for ``seconds``, as long as the release and the stored events of its user are those it
    was made from: a new event makes all answers to its user bad. Answers lie one after the other in one piece
    of memory, and over the oldest once its end is reached: pieces of their own would split what a request's
    arrays leave free, and the heap would grow.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._memory = mmap(-1, most) if most else None
        self._next = 0
        self._kept: deque[_Kept] = deque()
        self._of: dict[Ask, _Kept] = {}

    def get(self, ask: Ask, release: str, stored: bytes) -> Reply | None:
        """The answer to ``ask``, None where there is no good one."""
        kept = self._of.get(ask)
        if kept is None or self._memory is None:
            return None
        if (kept.release, kept.mark) != (release, _mark(stored)) or kept.until < monotonic():
            return None
        content = self._memory[kept.start : kept.end]
        return Reply(content, release=release, served_by=kept.served_by)

    def put(self, ask: Ask, release: str, stored: bytes, answer: Reply) -> None:
        """Keep ``answer`` instead of the one before; if it is longer than all there is room for, neither."""
        n = len(answer.content)
        self._of.pop(ask, None)
        if self._memory is None or n > self.most:
            return
        start = self._place(n)
        self._memory[start : start + n] = answer.content
        until = monotonic() + self.seconds
        kept = _Kept(ask, release, _mark(stored), until, start, start + n, answer.served_by)
        self._kept.append(kept)
        self._of[ask] = kept
        self._next = start + n

    def _place(self, n: int) -> int:
        """Where ``n`` bytes go, free of what lay there."""
        start = self._next
        if start + n > self.most:
            while self._kept and self._kept[0].start >= start:
                self._forget_oldest()
            start = 0
        while self._kept and start <= self._kept[0].start < start + n:
            self._forget_oldest()
        return start

    def _forget_oldest(self) -> None:
        kept = self._kept.popleft()
        if self._of.get(kept.ask) is kept:
            del self._of[kept.ask]


def _mark(stored: bytes) -> bytes:
    """What tells stored events from others, and takes less room."""
    return hashlib.blake2b(stored, digest_size=16).digest() if stored else b""
