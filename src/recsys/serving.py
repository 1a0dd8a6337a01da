"""A release at work: from what is asked and what has happened since to an answer, whatever else fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
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
TABLES = "tables"
INFERRED = "two_tower"
"""The channel that infers; all others look up."""
WARM_UP = 20
"""Requests that a release answers before it is given any."""


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
    """``items`` as `entries` gives them, the fallback chain's step that they are from, seconds by stage."""

    items: list[dict[str, Any]]
    served_by: str
    spent: dict[str, float] = field(default_factory=dict)


class Live:
    """One release, loaded, verified and warm."""

    def __init__(self, id_: str, recommender: Recommender) -> None:
        self.id = id_
        self.recommender = recommender
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
            ask = Ask(user_id, explain=True)
            requests = self.requests(ask, ())
            spent: dict[str, float] = {}
            shown = self._shown(ask, requests, FULL, spent)
            entries(self.recommender, shown, explain=True)

    def now(self, events: Sequence[Event] = ()) -> int:
        """A second after the newest event that is known of."""
        return max([self.recommender.now, *(event.timestamp + 1 for event in events)])

    def requests(self, ask: Ask, events: Sequence[Event]) -> Requests:
        """The request of ``ask`` alone, ``events`` at the end of its history.

        Events of items that the release does not know are left out, as are those it was trained on.
        """
        catalogue, past = self.recommender.catalogue, self.recommender.past
        users = np.array([catalogue.users.row(ask.user_id)])
        moment = self.now(events) if ask.now is None else ask.now
        requests = self.recommender.requests(users, moment)
        newer = [event for event in events if event.timestamp >= self.recommender.now]
        rows = np.array([catalogue.items.row(event.item_id) for event in newer], dtype=np.int64)
        if not (rows != PAD).any():
            return requests
        values = [self.usual_value if event.value is None else event.value for event in newer]
        known = rows != PAD
        more = np.array([event.timestamp for event in newer])[known], np.array(values)[known]
        return Requests(users, requests.now, past.histories(users).then(rows[known], *more))

    def recommend(self, ask: Ask, events: Sequence[Event], deadline: float) -> Answer:
        """Answer within about ``deadline`` seconds: in full, else with less, down to what is popular."""
        began = perf_counter()
        requests = self.requests(ask, events)
        for step in (FULL, UNRANKED, TABLES, FALLBACK):
            spent: dict[str, float] = {}
            try:
                shown = self._shown(ask, requests, step, spent, began + deadline)
                break
            except Exception:
                if step == FALLBACK:
                    raise
                LOG.exception("release %s: %s failed", self.id, step)
        began = perf_counter()
        items = entries(self.recommender, shown, ask.explain)
        spent["entries"] = perf_counter() - began
        return Answer(items, str(shown.served_by[0]), spent)

    def similar(self, item_id: str, k: int) -> list[dict[str, Any]] | None:
        """Items that go with ``item_id``; None where it is unknown."""
        row = self.recommender.catalogue.items.row(item_id)
        if row == PAD:
            return None
        found: Candidates = self.recommender.similar(np.array([row]), k)
        return item_entries(self.recommender.catalogue, found.items[0], found.scores[0])

    def _shown(
        self, ask: Ask, requests: Requests, step: str, spent: dict[str, float], deadline: float = np.inf
    ) -> Recommendations:
        """Page ``ask.page``: the re-ranker's first ``k`` of what earlier pages and ``exclude`` leave."""
        ours = self.recommender
        began = perf_counter()
        # As deep for every page: a deeper list would be another list.
        merged = ours.recall(requests, ask.k, self._channels(step), spent)
        spent["recall"] = perf_counter() - began
        if step == FULL and perf_counter() < deadline:
            ranked = ours.rank(requests, merged)
        else:
            ranked = ours.unranked(requests, merged)
            ranked.served_by[:] = UNRANKED if step == FULL else step
        spent["rank"] = perf_counter() - began - spent["recall"]
        ranked = ranked.without(np.array([ours.catalogue.items.row(each) for each in ask.exclude]))
        for _ in range(ask.page):
            ranked = ranked.without(ours.rerank(ranked, ask.k).items[0])
        shown = ours.rerank(ranked, ask.k)
        spent["rerank"] = perf_counter() - began - spent["recall"] - spent["rank"]
        return shown

    def _channels(self, step: str) -> list[str]:
        every = list(self.recommender.channels)
        if step == FALLBACK:
            return [FALLBACK]
        return [name for name in every if name != INFERRED] if step == TABLES else every
