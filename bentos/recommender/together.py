"""Requests that wait at the same time are answered in one go: what is done once for all is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter

from observed import took

from recsys.serving import Answer, Ask, Live
from recsys.store import Event

MOST = 8
"""Requests in one go: more would keep the first of them waiting for the last."""


@dataclass(eq=False)
class _Waiting:
    live: Live
    ask: Ask
    events: Sequence[Event]
    traced: bool
    answer: asyncio.Future[Answer]
    since: float

    @property
    def kind(self) -> tuple[str, int, int, bool]:
        """Only those of one kind are answered together."""
        return self.live.id, self.ask.k, self.ask.page, self.traced


class Together:
    """Answers, each within about ``deadline`` seconds of its request; alone where nobody else waits.

    For ``awake`` seconds after an answer the loop looks for what comes instead of sleeping until it does: who
    has slept answers late, for the processor has turned to other things.
    """

    def __init__(self, deadline: float, awake: float = 0.0) -> None:
        self.deadline = deadline
        self.awake = awake
        self._waiting: list[_Waiting] = []
        self._asleep_at = 0.0
        self._is_awake = False

    async def answer(self, live: Live, ask: Ask, events: Sequence[Event], traced: bool) -> Answer:
        """Answer ``ask`` by ``live``, together with what else has come by then."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            # Not at once: what has come by now is read first.
            loop.call_soon(loop.call_soon, self._answer_some)
        mine = _Waiting(live, ask, events, traced, loop.create_future(), perf_counter())
        self._waiting.append(mine)
        return await mine.answer

    def _answer_some(self) -> None:
        some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer_some)
        some = [each for each in some if not each.answer.done()]  # whoever has left wants no answer
        for _, alike in groupby(sorted(some, key=lambda each: each.kind), key=lambda each: each.kind):
            self._answer(list(alike))

    def _answer(self, alike: Sequence[_Waiting]) -> None:
        first = min(alike, key=lambda each: each.since)
        left = self.deadline - (perf_counter() - first.since)
        asks, events = [each.ask for each in alike], [each.events for each in alike]
        try:
            answers = first.live.recommend_all(asks, events, left, traced=first.traced)
        except Exception as error:
            if len(alike) == 1:
                first.answer.set_exception(error)
            else:
                for each in alike:
                    self._answer([each])
            return
        took(answers[0].spent)
        for each, answer in zip(alike, answers, strict=True):
            each.answer.set_result(answer)
        self._asleep_at = perf_counter() + self.awake
        if self.awake and not self._is_awake:
            self._stay_awake()

    def _stay_awake(self) -> None:
        """A loop that has something to call never sleeps."""
        self._is_awake = perf_counter() < self._asleep_at
        if self._is_awake:
            asyncio.get_running_loop().call_soon(self._stay_awake)
