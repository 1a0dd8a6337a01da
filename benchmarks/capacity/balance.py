"""What sending a user to one replica does for the caches, beside sending everybody everywhere in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from curve import answers, running
from load import Load, closed, opened
from stack import Stack
from traffic import EVENTS, SIMILAR, Traffic

ALGORITHMS = ("hash", "roundrobin")
CONNECTIONS = 8
CACHES = (1, 2, 4, 8)
KEPT, FILL = 60.0, 70.0
"""Seconds that an answer is kept (`Settings.cache_seconds`), and more: from then on as many go as come."""


def compared(release: Path, rate: float, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds, by algorithm; of failures the sum."""
    rows = []
    for number in range(rounds):
        for algorithm in ALGORITHMS:
            with running(release, HAPROXY_BALANCE=algorithm) as stack:
                seen = balanced(stack, Traffic(release, seed=number), rate, seconds)
            rows.append({"algorithm": algorithm, **seen})
            print(f"round {number + 1}: {algorithm}, {seen['hit_rate']:.3f} from the cache", flush=True)
    groups = pd.DataFrame(rows).groupby("algorithm", sort=False)
    return groups.median().assign(failed=groups["failed"].sum()).to_dict("index")


def balanced(
    stack: Stack, traffic: Traffic, rate: float, seconds: float, fill: float = FILL
) -> dict[str, float]:
    """Of mixed requests that come by chance at ``rate``, and then without a pause, to warm caches."""
    port = stack.proxy.port
    opened(port, requests(traffic), rate, fill)
    before = answers(stack)
    steady, hits = with_hits(stack, lambda: opened(port, requests(traffic), rate, seconds))
    shares = answers(stack).sub(before, fill_value=0).sum()
    peak, peak_hits = with_hits(stack, lambda: closed(port, requests(traffic), CONNECTIONS, seconds))
    return {
        "hit_rate": hits,
        "busiest": float(shares.max() / shares.sum()),
        "p50_ms": steady.quantile(0.5),
        "p99_ms": steady.quantile(0.99),
        "peak_requests_per_second": peak.per_second,
        "peak_p99_ms": peak.quantile(0.99),
        "peak_hit_rate": peak_hits,
        "failed": steady.failed + peak.failed,
    }


def with_hits(stack: Stack, ask: Callable[[], Load]) -> tuple[Load, float]:
    """A load, and the share of its lists that caches had."""
    before = answers(stack)
    load = ask()
    now = answers(stack).sub(before, fill_value=0).sum(axis=1)
    return load, float(now.get("cached", 0) / now.sum())


def expected(
    traffic: Traffic, rate: float, seconds: float, caches: int, fill: float = FILL, kept: float = KEPT
) -> float:
    """Share of lists that so many ideal caches would have, each chosen by chance, after and for as long."""
    n = round(rate * (fill + seconds))
    when = traffic.random.exponential(1 / rate, n).cumsum()
    kinds, users, chosen = traffic.random.random(n), traffic.users(n), traffic.random.integers(caches, size=n)
    told: Counter[str] = Counter()
    good: dict[tuple[str, int], tuple[float, int]] = {}
    hits = []
    for at, kind, user, cache in zip(when, kinds, users, chosen, strict=True):
        if kind < EVENTS:
            told[user] += 1
        elif kind >= EVENTS + SIMILAR:
            until, events = good.get((user, cache), (0.0, 0))
            hit = at < until and events == told[user]
            if not hit:
                good[user, cache] = (at + kept, told[user])
            if at > fill:
                hits.append(hit)
    return float(np.mean(hits))


def requests(traffic: Traffic, at_once: int = 2000) -> Iterator[bytes]:
    """Mixed requests without end."""
    while True:
        yield from traffic.mixed(at_once)
