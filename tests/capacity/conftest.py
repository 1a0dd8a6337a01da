"""What a benchmark would have measured, if the models were true."""

from collections.abc import Callable

import pytest

from recsys.artifacts import write_json
from recsys.capacity import Queue, Scaling

SCALING = Scaling(rate=350, contention=0.35, shared=0.1, coherency=2e-4)
QUEUE = Queue(rate=220, contention=0.2, shared=0.06, spread=0.4)
BUSIEST = {1: 1.0, 2: 0.6}
CONNECTIONS, SHARES = (1, 2, 4, 6, 8, 16, 24, 32), (0.1, 0.2, 0.35, 0.5, 0.65)
HELD_BACK = (6, 24, 0.35)


def measured_points(
    scaling: Scaling = SCALING, queue: Queue = QUEUE, noise: Callable = lambda: 1.0
) -> list[dict]:
    """Points of both kinds for one and two replicas."""
    points = []
    for replicas in (1, 2):
        for n in CONNECTIONS:
            rate = float(scaling.throughput(n, replicas)) * noise()
            points.append(
                {"kind": "closed", "connections": n, "requests_per_second": rate, "replicas": replicas}
            )
        for share in SHARES:
            load = share * float(queue.speed(512))
            waits = {
                name: queue.waiting(quantile, load, replicas, BUSIEST[replicas]) * 1000 * noise()
                for name, quantile in (("p50_ms", 0.5), ("p99_ms", 0.99))
            }
            points.append(
                {"kind": "open", "share": share, "requests_per_second": load, "replicas": replicas, **waits}
            )
    for point in points:
        point["held_back"] = point.get("connections", point.get("share")) in HELD_BACK
        point |= {
            "busiest": BUSIEST[point["replicas"]],
            "replicas_cpu_ms": 1.4,
            "proxy_cpu_ms": 0.1,
            "redis_cpu_ms": 0.04,
        }
    return points


@pytest.fixture(scope="session", name="measured_points")
def measured_points_fixture() -> Callable:
    return measured_points


@pytest.fixture(scope="session")
def truth() -> tuple[Scaling, Queue]:
    return SCALING, QUEUE


@pytest.fixture
def points() -> list[dict]:
    return measured_points()


@pytest.fixture
def report(points):
    return {
        "points": points,
        "redis": {"user": 200.0, "event": 50.0, "list": 900.0, "error": 0.02},
        "tables": {"user": 2000.0, "item": 3000.0, "interaction": 40.0, "none": 1e6},
        "worker": {"bytes": 3e8, "id": 132.0},
        "of": {"user": 6000, "item": 100_000, "interaction": 1_000_000},
    }


@pytest.fixture
def curve(report, tmp_path):
    path = tmp_path / "capacity.json"
    write_json(path, report)
    return path
