"""From what one machine was measured to do to how many there must be, what they hold and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from recsys.artifacts import read_json
from recsys.capacity.model import OPEN, CapacityError, Fitted, Point, fit

P99 = 0.99
TABLES = 2
"""Tables of lists that Redis holds: of the release that answers and, at a swap, of the next."""
COPIES = 2
"""Each part of Redis and the one that takes its place."""
MILLION = 1e6
GB = 1e9


@dataclass(frozen=True)
class Want:
    """What is to be served, and on which machines; ``price`` of one an hour, in any currency.

    ``interactions`` of a user are those that the release knows, ``events`` those since then; of cores and
    memory no more than ``utilization`` is used.
    """

    rps: float
    p99_ms: float
    users: float = 1e6
    items: float = 1e5
    interactions: float = 150
    events: float = 50
    cores: int = 8
    memory_gb: float = 32
    utilization: float = 0.7
    price: float = 0.4


@dataclass(frozen=True)
class Measured:
    """What benchmarks/capacity wrote: points, and bytes by unit of Redis, a release's tables and a worker.

    The release that was asked is ``of`` so many users, items and interactions.
    """

    points: Sequence[Point]
    redis: Mapping[str, float]
    tables: Mapping[str, float]
    worker: Mapping[str, float]
    of: Mapping[str, float]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the report; CapacityError where something is missing."""
        report = read_json(path)
        try:
            read = cls(report["points"], report["redis"], report["tables"], report["worker"], report["of"])
            read.fitted, read.processor_ms(0.0, "redis"), read.redis_bytes(1, 1), read.table_bytes(1, 1, 1)
            read.worker_bytes(1, 1), read.of["item"]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise CapacityError(f"{path}: is no report of benchmarks/capacity ({error!r})") from error
        return read

    @cached_property
    def fitted(self) -> Fitted:
        return fit(self.points)

    @property
    def unevenness(self) -> float:
        """How many times an even share the busiest replica got, where users were dealt out to several."""
        return max(
            float(point["busiest"] * point["replicas"]) for point in self.points if point["kind"] == OPEN
        )

    def processor_ms(self, load: float, part: str) -> float:
        """Of one request, where so many come a second: more where few are answered together."""
        return float(np.interp(load, *self._by_load(f"{part}_cpu_ms")))

    def load_of(self, utilization: float) -> float:
        """Requests a second that keep one core busy for this share of the time."""
        loads, milliseconds = self._by_load("replicas_cpu_ms")
        return float(np.interp(utilization, np.maximum.accumulate(loads * milliseconds / 1000), loads))

    def redis_bytes(self, users: float, events: float) -> float:
        """Of all users' events and lists."""
        one = self.redis["user"] + events * self.redis["event"] + TABLES * self.redis["list"]
        return users * one

    def table_bytes(self, users: float, items: float, interactions: float) -> float:
        """Of a release, as all workers of a machine map it."""
        grown = {"user": users, "item": items, "interaction": interactions}
        return self.tables["none"] + sum(n * self.tables[unit] for unit, n in grown.items())

    def worker_bytes(self, users: float, items: float) -> float:
        """Of one worker's own memory: what it took, and all ids by which rows are looked up."""
        return self.worker["bytes"] + self.worker["id"] * (users + items)

    def _by_load(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        alone = [point for point in self.points if point["kind"] == OPEN and point["replicas"] == 1]
        rows = sorted((point["requests_per_second"], point[measure]) for point in alone)
        loads, values = np.array(rows).T
        return loads, values


@dataclass(frozen=True)
class Plan:
    """Rows for people: what, how much, and the least and most that it may be as far as the model errs."""

    rows: Sequence[tuple[str, float, float, float]]
    notes: Sequence[str]


def plan(measured: Measured, want: Want) -> Plan:
    """What ``want`` takes; CapacityError where its p99 cannot be kept, or its items on a machine."""
    loads = _loads(measured, want)
    doubt = measured.redis["error"]
    estimates = [
        dict(_estimates(measured, want, load, memory))
        for load, memory in zip(loads, (1, 1 + doubt, 1 - doubt), strict=True)
    ]
    rows = []
    for name, value in estimates[0].items():
        ends = [each[name] for each in estimates]
        rows.append((name, value, min(ends), max(ends)))
    return Plan(rows, [*_notes(estimates[0], want, measured.of["item"])])


def _loads(measured: Measured, want: Want) -> tuple[float, float, float]:
    """Requests a second that one replica may get: as the model says, and if it errs as it did before."""
    queue, error = measured.fitted.queue, measured.fitted.error("p99_ms")
    most, within = measured.load_of(want.utilization), want.p99_ms / 1000
    kept = queue.largest_load(P99, within)
    try:
        least = queue.largest_load(P99, within / (1 + error))
    except CapacityError as refused:
        raise CapacityError(
            f"p99 of {want.p99_ms:g} ms is too near: the model errs by {error:.0%}, and {refused}"
        ) from None
    return min(kept, most), min(least, most), min(queue.largest_load(P99, within * (1 + error)), most)


def _estimates(measured: Measured, want: Want, load: float, memory: float) -> Iterator[tuple[str, float]]:
    """Each by its name, where a replica gets ``load``, and Redis takes ``memory`` times what is expected."""
    replicas = math.ceil(want.rps * measured.unevenness / load)
    workers = min(replicas, want.cores)
    groups = _groups(measured, want, workers)
    answering = groups * (math.ceil(replicas / groups / want.cores) + 1)
    core = want.cores * want.utilization
    proxies = math.ceil(want.rps * measured.processor_ms(load, "proxy") / 1000 / core) + 1
    redis_gb = memory * measured.redis_bytes(want.users, want.events) / GB
    redis_cores = want.rps * measured.processor_ms(load, "redis") / 1000
    stores = COPIES * math.ceil(max(redis_cores / core, redis_gb / (want.memory_gb * want.utilization)))
    tables_gb = measured.table_bytes(want.users, want.items, want.users * want.interactions) / GB
    workers_gb = workers * measured.worker_bytes(want.users / groups, want.items) / GB
    machines = answering + proxies + stores
    yield "requests/s of the busiest replica", load
    yield "replicas, one a core", replicas
    yield "groups of machines, each for a part of the users", groups
    yield "machines that answer, one more a group than it takes", answering
    yield "machines for HAProxy, one more than it takes", proxies
    yield "machines for Redis, each part twice", stores
    yield "machines", machines
    yield "Redis, GB", redis_gb
    yield "Redis, GB per million users", memory * measured.redis_bytes(MILLION, want.events) / GB
    yield "Redis, GB per million items", 0  # it holds lists and events, all of them by user
    yield "tables of a release, GB", tables_gb
    yield (
        "tables, GB per million users",
        (measured.table_bytes(MILLION, 0, MILLION * want.interactions) - measured.tables["none"]) / GB,
    )
    yield "tables, GB per million items", MILLION * measured.tables["item"] / GB
    yield "workers' own memory on a machine, GB", workers_gb
    yield "cost per million requests", machines * want.price / 3600 / want.rps * MILLION


def _groups(measured: Measured, want: Want, workers: int) -> int:
    """Into how many parts users fall where no machine holds all.

    CapacityError where none holds what each must, whoever its users are.
    """
    room = want.memory_gb * want.utilization * GB
    shared = measured.table_bytes(0, want.items, 0) + workers * measured.worker_bytes(0, want.items)
    every = measured.table_bytes(want.users, want.items, want.users * want.interactions)
    every += workers * measured.worker_bytes(want.users, want.items)
    if shared >= room:
        raise CapacityError(
            f"items and {workers} workers take {shared / GB:,.1f} GB on each machine, which has room for "
            f"{room / GB:,.1f} GB: take larger ones, or see docs/capacity.md"
        )
    return math.ceil((every - shared) / (room - shared))


def _notes(estimates: Mapping[str, float], want: Want, measured_items: float) -> Iterator[str]:
    """What the numbers alone do not say."""
    if estimates["groups of machines, each for a part of the users"] > 1:
        yield "a release in parts, each for a group, is on paper only: docs/capacity.md"
    if want.items > measured_items:
        yield (
            f"requests/s are of {measured_items:,.0f} items, with all of which a request was compared: "
            f"{want.items:,.0f} take longer (docs/models.md), or an index"
        )
