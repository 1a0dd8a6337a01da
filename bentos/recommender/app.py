"""HTTP around a release at work: validates what comes in, shapes what goes out, holds no algorithm."""

from __future__ import annotations

import asyncio
import hmac
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, time
from typing import TypeVar

import bodies
import orjson
from cache import AnswerCache
from observed import ANSWERS, CACHED, STAGES
from openapi import OPENAPI
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from recsys.release import ReleaseError, load
from recsys.replay import record
from recsys.serving import Answer, Ask, Live
from recsys.store import Event, EventStore, StoreError, decode

LOG = logging.getLogger("recommender")
PAGE = Path(__file__).parent / "page"
WITHOUT_EVENTS = "without_events"
Body = TypeVar("Body", bound=BaseModel)


@dataclass
class Settings:
    """How the service runs, each from the environment variable RECSYS_<NAME>."""

    releases: Path
    store: str
    clock: str = "release"
    deadline_ms: float = 200
    cache_mb: float = 32
    cache_seconds: float = 60
    max_body: int = 1 << 18
    log: str = ""
    log_share: float = 1.0
    admin_token: str = field(default="", repr=False)


class RequestError(Exception):
    """What the caller is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Service:
    """The endpoints; one object a worker."""

    def __init__(self, settings: Settings, live: Live, store: EventStore) -> None:
        self.settings = settings
        self.live = live
        self.store = store
        # Open for as long as the worker lives; a line is one write, so workers may share the file.
        self.log = Path(settings.log).open("ab", buffering=0) if settings.log else None  # noqa: SIM115
        self.cache = AnswerCache(int(settings.cache_mb * 1e6), settings.cache_seconds)

    def close(self) -> None:
        """Let go of the store and the log."""
        self.store.close()
        if self.log is not None:
            self.log.close()

    async def recommend(self, request: Request) -> Response:
        body = await self._body(request, bodies.Recommend)
        ask = Ask(body.user_id, body.k, body.page, body.exclude, body.explain, self._now(body.context.now))
        return _json(self._answered(self.live, ask))

    async def batch(self, request: Request) -> Response:
        body, live = await self._body(request, bodies.Batch), self.live
        lists = []
        for user_id in body.user_ids:
            lists.append(self._answered(live, Ask(user_id, body.k, now=self._now(None))))
            await asyncio.sleep(0)  # others are not kept waiting for the whole batch
        return _json(b'{"lists":[' + b",".join(lists) + b"]}")

    async def interests(self, request: Request) -> Response:
        body, live = await self._body(request, bodies.Interests), self.live
        now = self._now(None) or live.now()
        picks = [Event(item_id, now) for item_id in body.items]
        ask = Ask("", body.k, explain=body.explain, now=now + 1)
        answer = live.recommend(ask, picks, self.settings.deadline_ms / 1000)
        return _json(_shaped(live, ask, answer))

    async def similar_items(self, request: Request) -> Response:
        body, live = await self._body(request, bodies.SimilarItems), self.live
        found = live.similar(body.item_id, body.k)
        if found is None:
            raise RequestError(404, f"there is no item {body.item_id!r}")
        return _json(orjson.dumps({"item_id": body.item_id, "release": live.id, "items": found}))

    async def events(self, request: Request) -> Response:
        body, live = await self._body(request, bodies.Events), self.live
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
        self.cache.drop(body.user_id)
        return _json(orjson.dumps({"user_id": body.user_id, "kept": len(taken)}))

    async def release(self, request: Request) -> Response:
        live = self.live
        manifest = load(self.settings.releases / live.id).manifest
        told = {
            name: getattr(manifest, name) for name in ("revision", "data_hash", "newest_event", "metrics")
        }
        return _json(orjson.dumps({"release": live.id, **told}))

    async def swap(self, request: Request) -> Response:
        """Load another release beside the one at work, which stays if the other is no good."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self.settings.admin_token or not hmac.compare_digest(
            token.encode(), self.settings.admin_token.encode()
        ):
            raise RequestError(401, "this needs the admin token")
        body = await self._body(request, bodies.Swap)
        try:
            live = await asyncio.to_thread(Live.load, self.settings.releases / body.release)
        except ReleaseError as error:
            LOG.error("release %s refused: %s", body.release, error)
            raise RequestError(409, f"release {body.release} is refused; {self.live.id} stays") from error
        self.live = live
        self.cache.clear()
        return _json(orjson.dumps({"release": live.id}))

    async def users(self, request: Request) -> Response:
        """Some known users, for the page to pick from."""
        ids = self.live.recommender.catalogue.users.ids[:200].tolist()
        return _json(orjson.dumps({"user_ids": ids}))

    async def openapi(self, request: Request) -> Response:
        return _json(orjson.dumps(OPENAPI))

    def _answered(self, live: Live, ask: Ask) -> bytes:
        """The answer's bytes: from the cache, if neither events nor the release have changed since."""
        try:
            stored = self.store.read(ask.user_id)
        except StoreError:
            stored = None
        kept = None if stored is None else self.cache.get(ask, live.id, stored)
        if kept is not None:
            CACHED.inc()
            return kept
        logged = self.log is not None and random.random() < self.settings.log_share
        deadline = self.settings.deadline_ms / 1000
        answer = live.recommend(ask, decode(stored or b""), deadline, traced=logged)
        if self.log is not None and logged:
            self.log.write(record(time(), live.id, ask, stored or b"", answer))
        if stored is None and answer.served_by == "full":
            answer.served_by = WITHOUT_EVENTS
        ANSWERS.labels(answer.served_by).inc()
        for stage, seconds in answer.spent.items():
            STAGES.labels(stage).observe(seconds)
        shaped = _shaped(live, ask, answer)
        if stored is not None:
            self.cache.put(ask, live.id, stored, shaped)
        return shaped

    def _now(self, asked: int | None) -> int | None:
        if asked is None and self.settings.clock == "wall":
            return int(time()) // 60 * 60  # to the minute, or no answer could be kept
        return asked

    async def _body(self, request: Request, model: type[Body]) -> Body:
        received = bytearray()
        async for chunk in request.stream():
            received += chunk
            if len(received) > self.settings.max_body:
                raise RequestError(413, f"a body has at most {self.settings.max_body} bytes")
        try:
            return model.model_validate_json(received)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise RequestError(422, f"{place}: {first['msg']}" if place else first["msg"]) from error


def app_of(service: Service) -> Starlette:
    """All routes; a fault is one line of JSON."""
    posts = ("recommend", "similar_items", "interests", "events", "batch")
    routes = [Route(f"/{name}", _guarded(getattr(service, name)), methods=["POST"]) for name in posts]
    gets = {"/release": service.release, "/users": service.users, "/openapi.json": service.openapi}
    routes += [Route(path, _guarded(endpoint)) for path, endpoint in gets.items()]
    routes += [Route("/admin/release", _guarded(service.swap), methods=["POST"])]
    routes += [
        Route("/", _file("index.html")),
        *(Route(f"/{name}", _file(name)) for name in ("page.js", "page.css")),
    ]
    return Starlette(routes=routes)


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        began = perf_counter()
        try:
            return await endpoint(request)
        except RequestError as fault:
            return _json(orjson.dumps({"error": str(fault)}), fault.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            LOG.exception("%s failed", request.url.path)
            return _json(orjson.dumps({"error": "something went wrong here"}), 500)
        finally:
            STAGES.labels("request").observe(perf_counter() - began)

    return answer


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        return FileResponse(PAGE / name, headers={"cache-control": "no-cache"})

    return send


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


def _shaped(live: Live, ask: Ask, answer: Answer) -> bytes:
    return orjson.dumps(
        {
            "user_id": ask.user_id,
            "release": live.id,
            "served_by": answer.served_by,
            "page": ask.page,
            "items": answer.items,
            "milliseconds": {stage: round(seconds * 1000, 3) for stage, seconds in answer.spent.items()},
        }
    )
