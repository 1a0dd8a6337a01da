"""A line of JSON a request: some of those that went well, and every fault. Nothing in it says who asked."""

from __future__ import annotations

import logging
import random
from time import time
from typing import Any

import orjson

LOG = logging.getLogger("recommender.access")
LONGEST_PATH = 200
FAULT = 400
"""Statuses from here on are always logged."""


def to_stderr() -> None:
    """Print the lines as they are."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def logged(path: str, status: int, seconds: float, share: float, **more: Any) -> None:
    """Log a request, or ``share`` of them where it went well."""
    if status < FAULT and random.random() >= share:
        return
    line = {
        "at": round(time(), 3),
        "path": path[:LONGEST_PATH],
        "status": status,
        "milliseconds": round(seconds * 1000, 3),
        **more,
    }
    LOG.info(orjson.dumps(line).decode())
