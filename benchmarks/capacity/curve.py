"""The topology under load: answers a second, waiting, and what each of its parts uses."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.request import urlopen

import pandas as pd
from growth import memory
from load import Load, closed, opened
from processes import Replica, free_port
from prometheus_client.parser import text_string_to_metric_families
from stack import Stack

REPLICAS = (1, 2)
CONNECTIONS = (1, 2, 4, 6, 8, 16, 24, 32)
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Loads, of the most that was answered."""
LONGER = 4
"""Times as long as other points: of what comes by chance, 1 in 100 must be many."""
HELD_BACK = {"closed": (6, 24), "open": (0.4, 0.6)}
"""Connections and shares at which no fit is shown what was seen."""
BY = ["kind", "replicas", "connections", "share"]
"""What a point is measured at."""
TICK = os.sysconf("SC_CLK_TCK")
SETTLES = 4.0
"""Seconds until HAProxy gives a replica that is back its whole share (`slowstart`)."""
WARM = 3.0
"""Seconds of requests that nobody measures."""
COUNTED = ("recsys_answers_total", "recsys_cached_answers_total")
"""The service's metrics: answers by step, and those of the cache."""


@contextmanager
def running(release: Path, **told: str) -> Iterator[Stack]:
    """The topology with this release; replicas and HAProxy are ``told`` by the environment.

    S3 and those who follow it stand still: nothing is published, and S3 has machines of its own elsewhere.
    """
    with (
        TemporaryDirectory() as folder,
        patch.dict(os.environ, told),
        Stack.in_folder(Path(folder), free_port()).running(release.resolve()) as stack,
    ):
        for replica in stack.replicas:
            assert replica.follower is not None
            replica.follower.send_signal(signal.SIGSTOP)
        stack.s3.send(signal.SIGSTOP)
        yield stack


def curve(stack: Stack, asks: Sequence[bytes], seconds: float, rounds: int) -> list[dict[str, Any]]:
    """All points, in the words of `recsys.capacity`: medians over the rounds, of failures the sum.

    Who comes when is drawn anew in each round: else all would share one draw's luck.
    """
    rows: list[dict[str, Any]] = []
    peaks: dict[int, float] = {}
    for number in range(rounds):
        asks = Random(number).sample(asks, len(asks))
        for replicas in REPLICAS:
            use(stack, replicas)
            closed(stack.proxy.port, cycle(asks), max(CONNECTIONS), WARM)
            seen = [at_connections(stack, asks, replicas, each, seconds) for each in CONNECTIONS]
            # Rates are those of the first round, so that medians are of the same load.
            peak = peaks.setdefault(replicas, max(each["requests_per_second"] for each in seen))
            seen += [
                {**at_rate(stack, asks, replicas, share * peak, LONGER * seconds, number), "share": share}
                for share in SHARES
            ]
            rows += seen
            print(f"round {number + 1}: {replicas} of the replicas, {peak:.0f} requests/s", flush=True)
    groups = pd.DataFrame(rows).groupby(BY, sort=False)
    points = groups.median().assign(failed=groups["failed"].sum()).reset_index().to_dict("records")
    return [{**point, "held_back": is_held_back(point)} for point in points]


def is_held_back(point: Mapping[str, Any]) -> bool:
    """Whether the fit must do without this point."""
    at = point["connections"] if point["kind"] == "closed" else point["share"]
    return at in HELD_BACK[point["kind"]]


def at_connections(
    stack: Stack, asks: Sequence[bytes], replicas: int, connections: int, seconds: float
) -> dict[str, Any]:
    """So many ask without a pause."""
    seen = point(stack, lambda: closed(stack.proxy.port, cycle(asks), connections, seconds))
    return {"kind": "closed", "replicas": replicas, "connections": connections, "share": 1.0, **seen}


def at_rate(
    stack: Stack, asks: Sequence[bytes], replicas: int, rate: float, seconds: float, seed: int
) -> dict[str, Any]:
    """Requests come by chance; the rate is that at which they do."""
    seen = point(stack, lambda: opened(stack.proxy.port, cycle(asks), rate, seconds, seed))
    return {"kind": "open", "replicas": replicas, "connections": 0, **seen, "requests_per_second": rate}


def use(stack: Stack, replicas: int) -> None:
    """Let HAProxy know one replica, or both."""
    stack.proxy.ask(f"set server replicas/two state {'maint' if replicas == 1 else 'ready'}")
    time.sleep(SETTLES)


def point(stack: Stack, ask: Callable[[], Load]) -> dict[str, float]:
    """What was seen of one load; processor time in milliseconds a request."""
    used, before = processor(stack), answers(stack)
    load = ask()
    spent = processor(stack).sub(used)
    spent["asking"] = load.busy * load.took
    given = answers(stack).sub(before, fill_value=0)
    made = given.sum(axis=1)
    return {
        "requests_per_second": load.per_second,
        "p50_ms": load.quantile(0.5),
        "p99_ms": load.quantile(0.99),
        "failed": load.failed,
        "whole": float(made.get("full", 0) / max(1, made.sum())),
        "busiest": float(given.sum().max() / max(1, made.sum())),
        **{f"{part}_cpu_ms": seconds / len(load.seconds) * 1000 for part, seconds in spent.items()},
    }


def processor(stack: Stack) -> pd.Series:
    """Seconds of processor time of each part since it started, its whole family."""
    parts = {"replicas": stack.replicas, "proxy": (stack.proxy,), "redis": (stack.redis,)}
    return pd.Series(
        {
            name: sum(cpu_seconds(pid) for server in servers for pid in server.pids())
            for name, servers in parts.items()
        }
    )


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time of one process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def answers(stack: Stack) -> pd.DataFrame:
    """Answers by step of the fallback chain (those that a cache had are "cached") and replica."""
    return pd.concat([answers_of(replica) for replica in stack.replicas], axis=1).fillna(0)


def answers_of(replica: Replica) -> pd.Series:
    """The same of one."""
    with urlopen(f"http://127.0.0.1:{replica.port}/metrics") as told:
        return counted(told.read().decode())


def counted(metrics: str) -> pd.Series:
    """Answers by step, of what one replica tells Prometheus."""
    samples = [each for family in text_string_to_metric_families(metrics) for each in family.samples]
    by_step = {each.labels.get("served_by", "cached"): each.value for each in samples if each.name in COUNTED}
    return pd.Series(by_step, dtype=float)


def resident(stack: Stack) -> dict[str, float]:
    """Megabytes of all processes of a replica, of that with the most."""
    replicas = [
        pd.DataFrame([memory(pid) for pid in replica.pids()]).sum().to_dict() for replica in stack.replicas
    ]
    return max(replicas, key=lambda each: each["rss_mb"])
