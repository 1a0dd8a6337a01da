"""A release at work: from what is asked and what has happened since to an answer, whatever else fails."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np

from recsys.entries import entries, item_entries
from recsys.pipeline import FALLBACK, FULL, UNRANKED, Recommendations, Recommender
from recsys.release import RECOMMENDER, ReleaseError, verify
from recsys.store import Event
from recsys.types import PAD, Candidates, Requests

LOG = logging.getLogger(__name__)
PARTIAL, TABLES = "partial", "tables"
STEPS = (FULL, UNRANKED, TABLES, FALLBACK)
"""Of the fallback chain, first to last."""
RECALL_SHARE = 0.5
"""Of the deadline: once it is over, recall asks no further channel."""
MEASURED = 31
"""Times of which the median is what ranking usually takes."""
INFERRED = "two_tower"
"""The channel that infers; all others look up."""
WARM_UP = 20
"""Requests that a release answers before it is given any."""
STAND_INS, MOST_STAND_INS = 3, 30
"""Items that stand for a category, and for all: they count as had, so more would hide the best there is."""


@dataclass(frozen=True)
class Ask:
    """What one request wants; ``now`` in seconds, None for the moment after the newest event known."""

    user_id: str
    k: int = 20
    page: int = 0
    exclude: tuple[str, ...] = ()
    explain: bool = False
    now: int | None = None


@dataclass
class Answer:
    """``items`` as `entries` gives them, and what they are from.

    ``step`` is the one of the fallback chain that worked, ``left_out`` the channels that there was no time to
    ask, ``served_by`` what the caller is told of both; ``spent`` seconds by stage and channel; ``trace``,
    where asked for, a digest of what each stage made.
    """

    items: list[dict[str, Any]]
    step: str
    left_out: Sequence[str]
    served_by: str
    spent: dict[str, float]
    trace: dict[str, str]

    @property
    def whole(self) -> bool:
        """Whether time and parts were there for all of it."""
        return self.step == FULL and not self.left_out


class _Usual:
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
class _Made:
    """What the stages of one answer took and, where ``trace`` is there, digests of what they made.

    Moments are those of `perf_counter`; ``unwanted`` channels are left out in any case.
    """

    recall_until: float
    deadline: float
    unwanted: Collection[str]
    trace: dict[str, str] | None
    spent: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    step: str | None = None
    since: float = field(default_factory=perf_counter)

    @property
    def left(self) -> float:
        """Seconds; less than 0 where it is late."""
        return self.deadline - perf_counter()

    def skips(self, channel: str) -> bool:
        """Whether ``channel`` is not asked; the first always is, for there must be something."""
        late = bool(self.spent) and perf_counter() > self.recall_until
        if late or channel in self.unwanted:
            self.left_out.append(channel)
            return True
        return False

    def done(self, stage: str, *arrays: np.ndarray) -> None:
        """A stage has ended, and left ``arrays``."""
        now = perf_counter()
        self.spent[stage], self.since = now - self.since, now
        if self.trace is not None and arrays:
            digest = hashlib.blake2b(digest_size=8)
            for array in arrays:
                digest.update(array.tobytes())
            self.trace[stage] = digest.hexdigest()


class Live:
    """One release, loaded, verified and warm."""

    def __init__(self, id_: str, recommender: Recommender) -> None:
        self.id = id_
        self.recommender = recommender
        self._ranking = _Usual()
        self.usual_value = float(np.median(recommender.past.value)) if len(recommender.past) else 1.0

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the release in ``folder``; ReleaseError where it is damaged or cannot answer."""
        release = verify(folder)
        try:
            live = cls(release.id, Recommender.load(folder / RECOMMENDER))
            live.warm_up()
        except ReleaseError:
            raise
        except Exception as error:
            raise ReleaseError(f"{folder}: is whole, but does not answer ({error!r})") from error
        return live

    def warm_up(self) -> None:
        """Answer some of its own users, of all lengths of history, and one unknown; a failure is raised."""
        lengths = np.diff(self.recommender.past.offsets)
        rows = np.argsort(lengths)[np.linspace(0, len(lengths) - 1, WARM_UP).astype(int)]
        for user_id in [*self.recommender.catalogue.users.decode(rows).tolist(), ""]:
            self.recommend(Ask(user_id, explain=True), (), steps=[FULL])
        self.interests(Ask("", explain=True), (), list(self.categories)[:1], self.now())

    def now(self, events: Sequence[Event] = ()) -> int:
        """A second after the newest event that is known of."""
        return max([self.recommender.now, *(event.timestamp + 1 for event in events)])

    def requests(self, ask: Ask, events: Sequence[Event]) -> Requests:
        """The request of ``ask`` alone, ``events`` at the end of its history.

        Events of items that the release does not know are left out, as are those in its past already.
        """
        catalogue = self.recommender.catalogue
        users = np.array([catalogue.users.row(ask.user_id)])
        moment = self.now(events) if ask.now is None else ask.now
        requests = self.recommender.requests(users, moment)
        rows = np.array([catalogue.items.row(event.item_id) for event in events], dtype=np.int64)
        when = np.array([event.timestamp for event in events], dtype=np.int64)
        own = requests.history.items[requests.history.starts[0] : requests.history.ends[0]]
        new = (rows != PAD) & ((when >= self.recommender.now) | ~np.isin(rows, own))
        if not new.any():
            return requests
        values = np.array([self.usual_value if event.value is None else event.value for event in events])
        return replace(requests, history=requests.history.then(rows[new], when[new], values[new]))

    def recommend(
        self,
        ask: Ask,
        events: Sequence[Event],
        deadline: float = math.inf,
        steps: Sequence[str] = STEPS,
        traced: bool = False,
        unwanted: Collection[str] = (),
    ) -> Answer:
        """Answer within about ``deadline`` seconds: in full, else with less, down to what is popular.

        ``unwanted`` channels are left out as those are that there is no time for.
        """
        began = perf_counter()
        requests = self.requests(ask, events)
        for step in steps:
            made = _Made(began + RECALL_SHARE * deadline, began + deadline, unwanted, {} if traced else None)
            try:
                shown = self._shown(ask, requests, step, made)
                break
            except Exception:
                if step == steps[-1]:
                    raise
                LOG.exception("release %s: %s failed", self.id, step)
        items = entries(self.recommender, shown, ask.explain)
        made.done("entries")
        served_by = str(shown.served_by[0])
        if served_by == FULL and made.left_out:
            served_by = PARTIAL
        return Answer(items, made.step or step, made.left_out, served_by, made.spent, made.trace or {})

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """Ids of each category's most popular items, the category with the most items first."""
        catalogue, channel = self.recommender.catalogue, self.recommender.channels[FALLBACK]
        popular = channel.recall(self.requests(Ask(""), ()), len(catalogue.items)).items[0]
        found: dict[str, list[int]] = {}
        for row in popular[popular != PAD].tolist():
            for name in catalogue.categories[row]:
                found.setdefault(name, []).append(row)
        return {
            name: catalogue.items.decode(np.array(found[name][:STAND_INS])).tolist()
            for name in sorted(found, key=lambda name: -len(found[name]))
        }

    def interests(
        self,
        ask: Ask,
        items: Sequence[str],
        categories: Sequence[str],
        now: int,
        deadline: float = math.inf,
    ) -> Answer:
        """Answer somebody who says ``now`` to like these; what the release does not know is left out."""
        stand_ins = self._stand_ins(items, categories)
        picks = [Event(item, now) for item in (*stand_ins, *items)]
        answer = self.recommend(replace(ask, now=now + 1), picks, deadline)
        catalogue = self.recommender.catalogue
        told = {
            f"because you had {catalogue.titles[catalogue.items.row(item)]}": f"because you like {name}"
            for item, name in stand_ins.items()
        }
        for entry in answer.items if ask.explain else ():
            why, *moved = entry["reason"].split("; ")
            entry["reason"] = "; ".join([told.get(why, why), *moved])
        return answer

    def _stand_ins(self, items: Sequence[str], categories: Sequence[str]) -> dict[str, str]:
        """Which items stand for which of ``categories``: each one's first, each one's second, and so on."""
        lists = [(name, self.categories.get(name, [])) for name in categories]
        turns = [(ids[n], name) for n in range(STAND_INS) for name, ids in lists if n < len(ids)]
        return {item: name for item, name in turns[:MOST_STAND_INS] if item not in items}

    def similar(self, item_id: str, k: int) -> list[dict[str, Any]] | None:
        """Items that go with ``item_id``; None where it is unknown."""
        row = self.recommender.catalogue.items.row(item_id)
        if row == PAD:
            return None
        found: Candidates = self.recommender.similar(np.array([row]), k)
        return item_entries(self.recommender.catalogue, found.items[0], found.scores[0])

    def _shown(self, ask: Ask, requests: Requests, step: str, made: _Made) -> Recommendations:
        """Page ``ask.page``: the re-ranker's first ``k`` of what earlier pages and ``exclude`` leave."""
        ours = self.recommender
        # As deep for every page: a deeper list would be another list.
        merged = ours.recall(requests, ask.k, self._channels(step), made.spent, made.skips)
        made.done("recall", merged.items, merged.scores, merged.ranks)
        if step == FULL and made.left < self._ranking.seconds:
            step = made.step = UNRANKED
            self._ranking.was_not_tried()
        if step == FULL:
            ranked = ours.rank(requests, merged)
        else:
            ranked = ours.unranked(requests, merged)
            ranked.served_by[:] = step
        made.done("rank", ranked.items, ranked.scores)
        if step == FULL:
            self._ranking.took(made.spent["rank"])
        ranked = ranked.without(np.array([ours.catalogue.items.row(each) for each in ask.exclude]))
        for _ in range(ask.page):
            ranked = ranked.without(ours.rerank(ranked, ask.k).items[0])
        shown = ours.rerank(ranked, ask.k)
        made.done("rerank", shown.items, shown.scores)
        return shown

    def _channels(self, step: str) -> list[str]:
        every = list(self.recommender.channels)
        if step == FALLBACK:
            return [FALLBACK]
        return [name for name in every if name != INFERRED] if step == TABLES else every
