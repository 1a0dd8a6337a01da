"""HTTP by hand: a route by method and path, a checked body in, bytes out. ASGI without a framework."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
from access import logged
from observed import requested
from pydantic import BaseModel, ValidationError
from starlette.types import Receive, Scope, Send

LOG = logging.getLogger("recommender")
Headers = Sequence[tuple[bytes, bytes]]
Body = TypeVar("Body")
JSON = (b"content-type", b"application/json")
NOT_MODIFIED = 304


class RequestError(Exception):
    """What the caller is told."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Request(Generic[Body]):
    """What came in; ``headers`` have lower-case names."""

    headers: Headers
    body: Body

    def header(self, name: bytes) -> bytes:
        return next((value for each, value in self.headers if each == name), b"")


class Reply(NamedTuple):
    """What goes out, and what the log is told of it."""

    content: bytes
    status: int = 200
    headers: Headers = (JSON,)
    release: str | None = None
    served_by: str | None = None


class Route(NamedTuple):
    """Who answers, and what the body must be; None where no body is read."""

    answer: Callable[[Request[Any]], Awaitable[Reply]]
    body: type[BaseModel] | None = None


class App:
    """Answers by its ``routes``, (method, path) -> `Route`; a fault is one line of JSON.

    A body has at most ``max_body`` bytes; ``access_share`` of what goes well is logged.
    """

    def __init__(
        self, routes: Mapping[tuple[str, str], Route], max_body: int, access_share: float = 0
    ) -> None:
        self.routes = routes
        self.paths = {path for _, path in routes}
        self.max_body = max_body
        self.access_share = access_share

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        reply = await self._reply(scope, receive)
        headers = [*reply.headers]
        if reply.status != NOT_MODIFIED:
            headers.append((b"content-length", b"%d" % len(reply.content)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.content})
        seconds = perf_counter() - began
        requested(scope["path"] if scope["path"] in self.paths else "", reply.status, seconds)
        logged(
            scope["path"],
            reply.status,
            seconds,
            self.access_share,
            release=reply.release,
            served_by=reply.served_by,
            bytes=len(reply.content),
        )

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        try:
            route = self.routes.get((scope["method"], scope["path"]))
            if route is None:
                raise self._without_route(scope["path"])
            body = None if route.body is None else _checked(route.body, await self._received(receive))
            return await route.answer(Request(scope["headers"], body))
        except RequestError as fault:
            told = orjson.dumps({"error": str(fault)})
            return Reply(told, fault.status, (JSON, *fault.headers))
        except Exception:  # a fault of ours, whichever: its trace is for the log, the caller gets an answer
            LOG.exception("%s failed", scope["path"])
            return Reply(orjson.dumps({"error": "something went wrong here"}), 500)

    def _without_route(self, path: str) -> RequestError:
        methods = sorted(method for method, known in self.routes if known == path)
        if not methods:
            return RequestError(404, "there is nothing here")
        allowed = ", ".join(methods)
        return RequestError(405, f"this takes {allowed}", ((b"allow", allowed.encode()),))

    async def _received(self, receive: Receive) -> bytearray:
        received, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError(400, "the body ended early")
            received += message.get("body", b"")
            more = message.get("more_body", False)
            if len(received) > self.max_body:
                raise RequestError(413, f"a body has at most {self.max_body} bytes")
        return received


def _checked(model: type[BaseModel], received: bytearray) -> BaseModel:
    try:
        return model.model_validate_json(received)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise RequestError(422, f"{place}: {first['msg']}" if place else first["msg"]) from error
