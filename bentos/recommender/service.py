"""The BentoML service: a release, a store, and the app that answers."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import bentoml
from app import Service, Settings, app_of
from starlette.types import ASGIApp, Receive, Scope, Send
from wire import App

from recsys.release import ReleaseError, list_releases
from recsys.serving import Live
from recsys.store import open_store

BENTOMLS = {"/livez", "/readyz", "/healthz", "/metrics"}
"""Paths that BentoML answers."""


def settings() -> Settings:
    """What the environment says."""
    told = {name: os.environ.get(f"RECSYS_{name.upper()}") for name in Settings.__dataclass_fields__}
    kinds = {
        "deadline_ms": float,
        "log_share": float,
        "cache_seconds": float,
        "cache_mb": float,
        "max_body": int,
        "releases": Path,
    }
    given = {name: kinds.get(name, str)(value) for name, value in told.items() if value is not None}
    return Settings(**{"releases": Path("artifacts/releases"), "store": "artifacts/store", **given})


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
    traffic={"timeout": 10},
    metrics={"enabled": True},
    logging={"access": {"enabled": False}},
    # Spans are made even where none is sampled, and cost more than an answer from the cache.
    tracing={"excluded_urls": "."},
)
class RecommenderService:
    """Loads the release that RECSYS_RELEASE names, or the newest one."""

    def __init__(self) -> None:
        own = settings()
        wanted = os.environ.get("RECSYS_RELEASE")
        known = {release.id: release.folder for release in list_releases(own.releases)}
        if not known or (wanted is not None and wanted not in known):
            raise ReleaseError(f"{own.releases}: holds no release {wanted or ''}")
        live = Live.load(known[wanted] if wanted else list(known.values())[-1])
        self.service = Service(own, live, open_store(own.store))
        Ours.app = app_of(self.service)
        # Collections of all that was loaded would stop requests for tens of milliseconds.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 1000)

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Let go of what is open."""
        self.service.close()


RecommenderService.add_asgi_middleware(Ours)  # type: ignore[attr-defined]
