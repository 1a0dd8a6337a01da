"""What Prometheus is told, for all workers by whichever it asks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from memory import Memory
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

BUCKETS = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0015,
    0.002,
    0.003,
    0.004,
    0.006,
    0.008,
    0.012,
    0.02,
    0.05,
    0.1,
    0.25,
    1,
)
STAGES = Histogram("recsys_stage_seconds", "Time by stage and channel.", ["stage"], buckets=BUCKETS)
ANSWERS = Counter("recsys_answers_total", "Answers by step of the fallback chain.", ["served_by"])
CACHED = Counter("recsys_cached_answers_total", "Answers that the cache had.")
AT_WORK = Gauge("recsys_workers", "Workers by their release.", ["release"], multiprocess_mode="livesum")
REFUSED = Gauge(
    "recsys_refusing_workers",
    "Workers that cannot load the release that is to answer.",
    multiprocess_mode="livesum",
)
REQUESTS = Counter(
    "recsys_requests_total", "Requests; those that no route knows have no path.", ["path", "status"]
)
MEMORY = Memory()
KIND = CONTENT_TYPE_LATEST.encode()
SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder through which workers share what they count; BentoML sets it."""


def metrics() -> bytes:
    """All of it, as Prometheus reads it."""
    if SHARED not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(MEMORY)
    return generate_latest(registry)


def leave() -> None:
    """This worker ends: it is no longer counted among those at work."""
    if SHARED in os.environ:
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def requested(path: str, status: int, seconds: float) -> None:
    """A request was answered, but for BentoML's own share."""
    _requests(path, status).inc()
    _stage("request").observe(seconds)


@cache
def _requests(path: str, status: int) -> Counter:
    return REQUESTS.labels(path, status)


@cache
def _stage(name: str) -> Histogram:
    return STAGES.labels(name)


@cache
def _answers(served_by: str) -> Counter:
    return ANSWERS.labels(served_by)


def answered(served_by: str) -> None:
    """One answer was made, at this step."""
    _answers(served_by).inc()


def took(spent: Mapping[str, float]) -> None:
    """Seconds by stage and channel, of one answer or of some that were made in one go."""
    for name, seconds in spent.items():
        _stage(name).observe(seconds)
