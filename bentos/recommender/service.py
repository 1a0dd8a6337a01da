"""The BentoML service: a release, a store, and the app that answers."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import access
import bentoml
import observed
from runtime import RUNTIME
from settings import of_environment
from starlette.types import ASGIApp, Receive, Scope, Send
from wire import App

from recsys.release import ReleaseError, live_release, verify
from recsys.store import StoreError, open_store

BENTOMLS = {"/livez", "/readyz", "/healthz"}
"""Paths that BentoML answers."""
OWN = of_environment()


def chosen() -> Path:
    """Folder of the release to start with."""
    return OWN.releases / OWN.release if OWN.release else live_release(OWN.releases).folder


class Ours:
    """Requests come here before BentoML's router looks for who may want them: all but its own are ours."""

    app: App
    """Of this worker, once it has made it."""

    def __init__(self, bentoml: ASGIApp) -> None:
        self.bentoml = bentoml

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in BENTOMLS:
            await self.bentoml(scope, receive, send)
        else:
            await Ours.app(scope, receive, send)


@bentoml.service(
    name="recommender",
    workers=OWN.workers,
    image=RUNTIME,
    traffic={"timeout": 10},  # for a release to be loaded; answers have deadlines of their own
    # Its own label each path that anyone asks for, and cost more than an answer from the cache.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # So do spans, which are made even where none is sampled.
    tracing={"excluded_urls": "."},
)
class RecommenderService:
    """A worker: a release and a store, loaded when it starts."""

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    @staticmethod
    def check() -> None:
        """Before there are workers: say in one line why they could not start."""
        try:
            verify(chosen())
            open_store(OWN.store).close()
        except (ReleaseError, StoreError) as error:
            raise SystemExit(str(error)) from None

    def __init__(self) -> None:
        # Here, for the process that starts workers imports this too, and needs none of it.
        from app import Service, app_of

        from recsys.serving import Live

        self.service = Service(OWN, Live.load(chosen()), open_store(OWN.store))
        Ours.app = app_of(self.service)
        access.to_stderr()
        # Collections of all that was loaded would stop requests for tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def follow(self) -> None:
        """Go over to other releases when all workers do."""
        self.following = asyncio.create_task(self.service.releases.follow())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let go of what is open."""
        self.following.cancel()
        self.service.close()
        observed.leave()


RecommenderService.add_asgi_middleware(Ours)  # type: ignore[attr-defined]
