"""HTTP around a release at work: validates what comes in, shapes what goes out, holds no algorithm."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
from functools import partial
from pathlib import Path
from time import time

import bodies
import files
import orjson
from cache import AnswerCache
from following import Following
from observed import CACHED, KIND, answered, metrics
from openapi import OPENAPI
from settings import Settings
from together import Together
from wire import App, Reply, Request, RequestError, Route

from recsys.lists import LISTS, lists_in
from recsys.release import RECOMMENDER, ReleaseError, load
from recsys.serving import Answer, Ask, ContextError, Live
from recsys.serving.live import ListOf
from recsys.serving.replay import record
from recsys.store import Event, Store, StoreError, decode

LOG = logging.getLogger("recommender")
WITHOUT_EVENTS = "without_events"
SHOWN = 200
"""Users and categories that the page is told of."""


class Service:
    """The endpoints; one object a worker."""

    def __init__(self, settings: Settings, live: Live, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.releases = Following(settings.releases, live, self._share_lists, pinned=bool(settings.release))
        self._share_lists(live)
        # Open for as long as the worker lives; a line is one write, so workers may share the file.
        self.log = Path(settings.log).open("ab", buffering=0) if settings.log else None  # noqa: SIM115
        self.together = Together(settings.deadline_ms / 1000, settings.awake_ms / 1000)
        self.cache = AnswerCache(int(settings.cache_mb * 1e6), settings.cache_seconds)

    @property
    def live(self) -> Live:
        """The release that answers; one request must read this once."""
        return self.releases.live

    def close(self) -> None:
        """Let go of the store and the log."""
        self.store.close()
        if self.log is not None:
            self.log.close()

    async def recommend(self, request: Request[bodies.Recommend]) -> Reply:
        body, live = request.body, self.live
        now, context = self._now(body.context.now), _told(live, body.context)
        ask = Ask(body.user_id, body.k, body.page, body.exclude, body.explain, now, context)
        return await self._answered(live, ask)

    async def batch(self, request: Request[bodies.Batch]) -> Reply:
        body, live = request.body, self.live
        now, context = self._now(body.context.now), _told(live, body.context)
        asks = [Ask(user_id, body.k, now=now, context=context) for user_id in body.user_ids]
        answers = await asyncio.gather(*(self._answered(live, ask) for ask in asks))
        lists = b",".join(answer.content for answer in answers)
        return Reply(b'{"lists":[' + lists + b"]}", release=live.id)

    async def interests(self, request: Request[bodies.Interests]) -> Reply:
        body, live = request.body, self.live
        now = self._now(body.context.now)
        now, deadline = live.now() if now is None else now, self.settings.deadline_ms / 1000
        ask = Ask("", body.k, explain=body.explain, context=_told(live, body.context))
        answer = live.interests(ask, body.items, body.categories, now, deadline)
        return _shaped(live, ask, answer)

    async def categories(self, request: Request[None]) -> Reply:
        """Those that `interests` knows, for the page to pick from; the largest first."""
        return Reply(orjson.dumps({"categories": list(self.live.categories)[:SHOWN]}))

    async def similar_items(self, request: Request[bodies.SimilarItems]) -> Reply:
        body, live = request.body, self.live
        found = live.similar(body.item_id, body.k)
        if found is None:
            raise RequestError(404, f"there is no item {body.item_id!r}")
        told = {"item_id": body.item_id, "release": live.id, "items": found}
        return Reply(orjson.dumps(told), release=live.id)

    async def events(self, request: Request[bodies.Events]) -> Reply:
        body, live = request.body, self.live
        try:
            known = decode(self.store.read(body.user_id))
            now = int(time()) if self.settings.clock == "wall" else live.now(known)
            taken = [
                Event(each.item_id, now if each.timestamp is None else each.timestamp, each.value)
                for each in body.events
            ]
            self.store.append(body.user_id, taken)
        except StoreError as error:
            LOG.warning("%s", error)
            raise RequestError(503, "events cannot be kept at the moment; send them again") from error
        return Reply(orjson.dumps({"user_id": body.user_id, "kept": len(taken)}))

    async def release(self, request: Request[None]) -> Reply:
        live = self.live
        manifest = load(self.settings.releases / live.id).manifest
        told = {
            name: getattr(manifest, name) for name in ("revision", "data_hash", "newest_event", "metrics")
        }
        return Reply(orjson.dumps({"release": live.id, "refused": self.releases.refused, **told}))

    async def swap(self, request: Request[bodies.Swap]) -> Reply:
        """Go over to another release, which stays away if it is no good; the other workers follow."""
        token, wanted = self.settings.admin_token.encode(), request.body.release
        if not token or not hmac.compare_digest(request.header(b"authorization"), b"Bearer " + token):
            raise RequestError(401, "this needs the admin token")
        try:
            await asyncio.shield(self.releases.switch(wanted))  # who has stopped waiting stops nothing
        except ReleaseError as error:
            LOG.error("release %s refused: %s", wanted, error)
            raise RequestError(409, f"release {wanted} is refused; {self.live.id} stays") from error
        except OSError as error:
            LOG.error("release %s cannot be pointed at: %s", wanted, error)
            raise RequestError(503, f"the releases cannot be reached; {self.live.id} stays") from error
        return Reply(orjson.dumps({"release": wanted}))

    async def users(self, request: Request[None]) -> Reply:
        """Some known users, for the page to pick from."""
        ids = self.live.recommender.catalogue.users.ids[:SHOWN].tolist()
        return Reply(orjson.dumps({"user_ids": ids}))

    async def metrics(self, request: Request[None]) -> Reply:
        return Reply(metrics(), headers=((b"content-type", KIND),))

    async def openapi(self, request: Request[None]) -> Reply:
        return Reply(orjson.dumps(OPENAPI))

    async def _answered(self, live: Live, ask: Ask) -> Reply:
        """The answer: from the cache, if neither events nor the release have changed since."""
        try:
            stored = self.store.read(ask.user_id)
        except StoreError:
            stored = None
        kept = None if stored is None else self.cache.get(ask, live.id, stored)
        if kept is not None:
            CACHED.inc()
            return kept
        logged = self.log is not None and random.random() < self.settings.log_share
        answer = await self.together.answer(live, ask, decode(stored or b""), traced=logged)
        if self.log is not None and logged:
            self.log.write(record(time(), live.id, ask, stored or b"", answer))
        if stored is None and answer.served_by == "full":
            answer.served_by = WITHOUT_EVENTS
        answered(answer.served_by)
        shaped = _shaped(live, ask, answer)
        if stored is not None and answer.whole:
            self.cache.put(ask, live.id, stored, shaped)
        return shaped

    def _share_lists(self, live: Live) -> None:
        """Let ``live`` look its lists up in the store, which gets them first, and lose those of old releases.

        Without the store they stay in the release's file.
        """
        path = self.settings.releases / live.id / RECOMMENDER / LISTS
        try:
            if not self.store.has_lists(live.id) and path.exists():
                self.store.write_lists(live.id, lists_in(path, live.recommender))
            if self.store.has_lists(live.id):
                live.list_of = partial(self._list_of, live.id, live.list_of)
            if live is not self.live:
                self.store.keep_lists([live.id, self.live.id])
        except StoreError as error:
            LOG.warning("lists of release %s stay in its file: %s", live.id, error)

    def _list_of(self, release: str, in_file: ListOf, user_id: str) -> bytes | None:
        found = self.store.list_of(release, user_id)
        if found is None and not self.store.has_lists(release):  # others have gone over to newer ones
            return in_file(user_id)
        return found

    def _now(self, asked: int | None) -> int | None:
        if asked is None and self.settings.clock == "wall":
            return int(time()) // 60 * 60  # to the minute, or no answer could be kept
        return asked


def app_of(service: Service) -> App:
    """All routes."""
    asked = {
        "/recommend": Route(service.recommend, bodies.Recommend),
        "/similar_items": Route(service.similar_items, bodies.SimilarItems),
        "/interests": Route(service.interests, bodies.Interests),
        "/events": Route(service.events, bodies.Events),
        "/batch": Route(service.batch, bodies.Batch),
        "/admin/release": Route(service.swap, bodies.Swap),
    }
    told = {
        "/release": Route(service.release),
        "/users": Route(service.users),
        "/categories": Route(service.categories),
        "/metrics": Route(service.metrics),
        "/openapi.json": Route(service.openapi),
    }
    routes = {("POST", path): route for path, route in asked.items()}
    routes |= {("GET", path): route for path, route in told.items()}
    settings = service.settings
    return App(routes | files.routes(), settings.max_body, settings.access_share)


def _told(live: Live, context: bodies.Context) -> tuple[tuple[str, str | float], ...]:
    """Columns that the page tells, in one order; RequestError where one is none of the release's."""
    if context.columns:
        try:
            live.recommender.check_context(context.columns)
        except ContextError as error:
            raise RequestError(422, f"context.columns: {error}") from error
    return tuple(sorted(context.columns.items()))


def _shaped(live: Live, ask: Ask, answer: Answer) -> Reply:
    told = {
        "user_id": ask.user_id,
        "release": live.id,
        "served_by": answer.served_by,
        "page": ask.page,
        "items": answer.items,
        "milliseconds": {stage: round(seconds * 1000, 3) for stage, seconds in answer.spent.items()},
    }
    return Reply(orjson.dumps(told), release=live.id, served_by=answer.served_by)
