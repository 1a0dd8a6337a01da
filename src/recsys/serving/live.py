"""A release at work: from what is asked and what has happened since to an answer, whatever else fails."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from recsys.entries import entries, item_entries
from recsys.lists import LISTS, lists_in, unpacked
from recsys.pipeline import FALLBACK, FULL, UNRANKED, Recommendations, Recommender
from recsys.release import RECOMMENDER, ReleaseError, verify
from recsys.serving.interests import stand_ins_of, standing_in
from recsys.serving.stages import Stages, Usual
from recsys.store import Event
from recsys.types import PAD, Candidates, Histories, Requests

LOG = logging.getLogger(__name__)
PARTIAL, TABLES = "partial", "tables"
STEPS = (FULL, UNRANKED, TABLES, FALLBACK)
"""Of the fallback chain: ranked, as merged, from the list made with the release, what is popular."""
ListOf = Callable[[str], bytes | None]
"""Looks up the list that was made for a user with the release, None for whoever has none."""
WARM_UP = 20
"""Requests that a release answers before it is given any."""


class NoListError(Exception):
    """No list was made for a user."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request wants; ``now`` in seconds, None for the moment after the newest event known.

    ``context`` has names and values of what the page knows. Events of items ``standing`` for a category, ids
    and names, say that it is liked, not that these were had.
    """

    user_id: str
    k: int = 20
    page: int = 0
    exclude: tuple[str, ...] = ()
    explain: bool = False
    now: int | None = None
    context: tuple[tuple[str, str | float], ...] = ()
    standing: tuple[tuple[str, str], ...] = ()


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


class Live:
    """One release, loaded, verified and warm; ``list_of`` reads its own file, which a store may take over."""

    def __init__(self, id_: str, recommender: Recommender, list_of: ListOf = lambda _: None) -> None:
        self.id = id_
        self.recommender = recommender
        self.list_of = list_of
        self._ranking = Usual()
        past = recommender.past.timestamp
        self.timeless = len(past) > 1 and bool(past[0] == past.min() == past.max())
        self.usual_value = float(np.median(recommender.past.value)) if len(recommender.past) else 1.0

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Load the release in ``folder``; ReleaseError where it is damaged or cannot answer."""
        release = verify(folder)
        try:
            live = cls(release.id, Recommender.load(folder / RECOMMENDER))
            live.list_of = live._in_file(folder / RECOMMENDER / LISTS)
            live.warm_up()
        except ReleaseError:
            raise
        except Exception as error:
            raise ReleaseError(f"{folder}: is whole, but does not answer ({error!r})") from error
        return live

    def warm_up(self) -> None:
        """Go every way that a request may take, so that nothing is left to compile; a failure is raised.

        For some of its own users, of all lengths of history, and for one unknown.
        """
        lengths = self.recommender.past.user_counts
        rows = np.argsort(lengths)[np.linspace(0, len(lengths) - 1, WARM_UP).astype(int)]
        users = [*self.recommender.catalogue.users.decode(rows).tolist(), ""]
        asks = [Ask(user_id, page=1, explain=True) for user_id in users]
        event = Event(self.recommender.catalogue.items.ids[0], self.now())
        for ask in asks:
            self.recommend(ask, (event,), steps=[FULL])
        listed = [ask for ask in asks if self.list_of(ask.user_id) is not None]
        for step, several in {step: listed if step == TABLES else asks for step in STEPS}.items():
            for some in (several[:1], several):
                if some:
                    self.recommend_all(some, [() for _ in some], steps=[step])
        self.interests(Ask("", explain=True), (), list(self.categories)[:1], self.now())
        self.similar(event.item_id, 1)

    def now(self, events: Sequence[Event] = ()) -> int:
        """A second after the newest event that is known of; where nobody knows when, always the same."""
        if self.timeless:
            return self.recommender.now
        return max([self.recommender.now, *(event.timestamp + 1 for event in events)])

    def requests(self, asks: Sequence[Ask], events: Sequence[Sequence[Event]]) -> Requests:
        """The requests of ``asks``, to each its ``events`` at the end of its history.

        Events of items that the release does not know are left out, as are those in its past already.
        """
        users = np.array([self.recommender.catalogue.users.row(ask.user_id) for ask in asks])
        moments = [
            self.now(known) if ask.now is None or self.timeless else ask.now
            for ask, known in zip(asks, events, strict=True)
        ]
        requests = self.recommender.requests(users, np.array(moments))
        if any(ask.context for ask in asks):
            requests = replace(requests, context=_context(asks))
        if not any(events):
            return requests
        histories = [self._with(requests.history[row : row + 1], known) for row, known in enumerate(events)]
        return replace(requests, history=Histories.joined(histories))

    def _with(self, history: Histories, events: Sequence[Event]) -> Histories:
        rows = np.array(
            [self.recommender.catalogue.items.row(each.item_id) for each in events], dtype=np.int64
        )
        when = np.array([each.timestamp for each in events], dtype=np.int64)
        own = history.items[history.starts[0] : history.ends[0]]
        new = (rows != PAD) & ((when >= self.recommender.now) | ~np.isin(rows, own))
        if not new.any():
            return history
        values = np.array([self.usual_value if each.value is None else each.value for each in events])
        return history.then(rows[new], when[new], values[new])

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
        return self.recommend_all([ask], [events], deadline, steps, traced, unwanted)[0]

    def recommend_all(
        self,
        asks: Sequence[Ask],
        events: Sequence[Sequence[Event]],
        deadline: float = math.inf,
        steps: Sequence[str] = STEPS,
        traced: bool = False,
        unwanted: Collection[str] = (),
    ) -> list[Answer]:
        """Answer ``asks``, all of one ``k`` and ``page``, in one go: each gets what it would get alone.

        Only one that asks alone goes down the fallback chain. Where several cannot be answered together this
        raises: ask for each, so that none has less for another's sake.
        """
        stages = Stages(deadline, unwanted, [{} for _ in asks] if traced else None)
        for step in steps:
            try:
                worked, shown = self._shown(asks, self.requests(asks, events), step, stages)
                return self._answers(asks, worked, shown, stages)
            except Exception as error:
                if len(asks) > 1 or step == steps[-1]:
                    raise
                unforeseen = not isinstance(error, NoListError)
                LOG.warning("release %s: %s failed: %s", self.id, step, error, exc_info=unforeseen)
                stages = Stages(stages.left, unwanted, [{}] if traced else None)
        raise ValueError("no step to answer by")

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """Categories that `interests` knows, the largest first, and the items that stand for each."""
        return stand_ins_of(self.recommender)

    def interests(
        self,
        ask: Ask,
        items: Sequence[str],
        categories: Sequence[str],
        now: int,
        deadline: float = math.inf,
    ) -> Answer:
        """Answer somebody who says ``now`` to like these; what the release does not know is left out."""
        standing = standing_in(self.categories, categories, items)
        picks = [Event(item, now) for item in (*standing, *items)]
        return self.recommend(replace(ask, now=now + 1, standing=tuple(standing.items())), picks, deadline)

    def similar(self, item_id: str, k: int) -> list[dict[str, Any]] | None:
        """Items that go with ``item_id``; None where it is unknown."""
        row = self.recommender.catalogue.items.row(item_id)
        if row == PAD:
            return None
        found: Candidates = self.recommender.similar(np.array([row]), k)
        return item_entries(self.recommender.catalogue, found.items[0], found.scores[0])

    def _shown(
        self, asks: Sequence[Ask], requests: Requests, step: str, stages: Stages
    ) -> tuple[str, Recommendations]:
        """The step that worked, ``step`` or one with less, and one page of each.

        A page is the re-ranker's first ``k`` of what earlier pages and ``exclude`` leave.
        """
        ours, k = self.recommender, asks[0].k
        if step == FALLBACK:
            merged = ours.fallback(requests, k)
        elif step == TABLES:
            merged = ours.looked_up(requests, self._lists(asks), k)
        else:
            # As deep for every page: a deeper list would be another list.
            merged = ours.recall(requests, k, stages.spent, stages.skips)
        stages.done("recall", merged.items, merged.scores, merged.ranks)
        if step == FULL and stages.left < len(asks) * self._ranking.seconds:
            self._ranking.was_not_tried()
            step = UNRANKED
        if step == FULL:
            ranked = ours.rank(requests, merged)
        else:
            ranked = ours.unranked(requests, merged)
            ranked.served_by[:] = step
        stages.done("rank", ranked.items, ranked.scores)
        if step == FULL:
            self._ranking.took(stages.spent["rank"] / len(asks))
        if any(ask.exclude for ask in asks):
            rows = ours.catalogue.items.row
            ranked = ranked.without([[rows(each) for each in ask.exclude] for ask in asks])
        for _ in range(asks[0].page):
            ranked = ranked.without(ours.rerank(ranked, k).items)
        shown = ours.rerank(ranked, k)
        stages.done("rerank", shown.items, shown.scores)
        return step, shown

    def _answers(
        self, asks: Sequence[Ask], step: str, shown: Recommendations, stages: Stages
    ) -> list[Answer]:
        listed = [
            entries(self.recommender, shown[row : row + 1], ask.explain, dict(ask.standing))
            for row, ask in enumerate(asks)
        ]
        stages.done("entries")
        traces = stages.traces or [{} for _ in asks]
        partial = [PARTIAL if by == FULL and stages.left_out else str(by) for by in shown.served_by]
        return [
            Answer(items, step, stages.left_out, served_by, stages.spent, trace)
            for items, served_by, trace in zip(listed, partial, traces, strict=True)
        ]

    def _in_file(self, path: Path) -> ListOf:
        """Lists of a file that is read once one is wanted; none where there is no such file."""

        @cache
        def every() -> dict[str, bytes]:
            return dict(lists_in(path, self.recommender)) if path.exists() else {}

        return lambda user_id: every().get(user_id)

    def _lists(self, asks: Sequence[Ask]) -> Candidates:
        """The list made for each; NoListError where one has none."""
        stored = [self.list_of(ask.user_id) for ask in asks]
        if None in stored:
            raise NoListError("no list was made for this user")
        return unpacked([each for each in stored if each is not None])


def _context(asks: Sequence[Ask]) -> dict[str, np.ndarray]:
    """What each tells by name, (n,) with None where it does not."""
    told = [dict(ask.context) for ask in asks]
    names = {name: None for each in told for name in each}
    return {name: np.array([each.get(name) for each in told], dtype=object) for name in names}
