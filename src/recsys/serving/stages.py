"""How an answer comes about: what its stages took and made, and what there is time for."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

RECALL_SHARE = 0.5
"""Of the deadline: once it is over, recall asks no further channel."""
MEASURED = 31
"""Times of which the median is what something usually takes."""


class Usual:
    """What something usually takes: the median of its last times in seconds, 0 before there is one."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MEASURED)

    @property
    def seconds(self) -> float:
        return sorted(self._times)[len(self._times) // 2] if self._times else 0.0

    def took(self, seconds: float) -> None:
        self._times.append(seconds)

    def was_not_tried(self) -> None:
        """Forget the oldest time: what was slow once must be tried again some time."""
        if self._times:
            self._times.popleft()


@dataclass
class Stages:
    """Stages of an answer to some requests, which has ``seconds`` in all; ``unwanted`` channels are left out.

    ``spent`` are seconds by stage and channel, ``left_out`` the channels that were not asked; ``traces``,
    where wanted, have a digest of what each stage made for each request.
    """

    seconds: float
    unwanted: Collection[str]
    traces: list[dict[str, str]] | None
    spent: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    began: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self._since = self.began

    @property
    def left(self) -> float:
        """Seconds; less than 0 where it is late."""
        return self.began + self.seconds - perf_counter()

    def skips(self, channel: str) -> bool:
        """Whether ``channel`` is not asked; the first always is, for there must be something."""
        late = bool(self.spent) and self.left < (1 - RECALL_SHARE) * self.seconds
        if late or channel in self.unwanted:
            self.left_out.append(channel)
            return True
        return False

    def done(self, stage: str, *arrays: np.ndarray) -> None:
        """A stage has ended, and left ``arrays``, a row a request."""
        now = perf_counter()
        self.spent[stage], self._since = now - self._since, now
        for row, trace in enumerate(self.traces or ()):
            digest = hashlib.blake2b(digest_size=8)
            for array in arrays:
                digest.update(array[row].tobytes())
            trace[stage] = digest.hexdigest()
