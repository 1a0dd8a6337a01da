"""What Prometheus is told, beside BentoML's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

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
REQUEST = STAGES.labels("request")
"""All of a request but BentoML's own share."""


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
