"""Throughput and waiting of replicas under load, fitted to what was measured.

**Throughput.** Gunther's Universal Scalability Law (Guerrilla Capacity Planning, 2007, chapters 4 to 6), its
contention in two parts: what requests at one replica have among themselves, and what replicas share
(processors, HAProxy, Redis). Of n requests that are always in the system one in r is at the same replica, so

    X(n, r) = rate n / (1 + (contention / r + shared) (n - 1) + coherency n (n - 1))

**Waiting.** Where requests come by chance (Poisson, x a second) a replica is a server whose speed depends on
how many it has, the flow equivalent of Chandy, Herzog and Woo (IBM Journal of R&D 19, 1975). Of all requests
it gets a share w, for users are dealt out by a hash and some ask more than others, and where it has n there
are n / w in the system:

    Y(n, w) = rate n / (1 + contention (n - 1) + shared (n / w - 1))

It has n of them with p(n) ~ prod w x / Y(k), k = 1..n, and whoever finds n there waits (n + 1) / Y(n + 1) on
average, so that Little's law holds: E[n] = w x E[wait]. Around that average waits are gamma distributed with
one coefficient of variation, ``spread``. Y has numbers of its own: who comes by chance finds caches cold, and
fewer to be answered together with, than who asks without a pause; an open system is not a closed one
(Schroeder, Wierman and Harchol-Balter, NSDI 2006).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.special import gammainc

CLOSED, OPEN = "closed", "open"
QUANTILES = {"p50_ms": 0.5, "p99_ms": 0.99}
MOST = 512
"""Requests that wait in one replica; who comes then is not counted."""
STEP = 1e-3
"""Share of a number by which it is moved to see what changes: waiting is only found to a nanosecond."""
Point = Mapping[str, Any]
"""Of benchmarks/capacity: kind, replicas, connections, requests_per_second, p50_ms, p99_ms, held_back, and
which share of all answers the busiest replica gave."""


class CapacityError(Exception):
    """What was measured cannot be used, or what is wanted cannot be had; the message says why."""


@dataclass(frozen=True)
class Scaling:
    """Throughput by what is in the system; ``rate`` in requests a second of one that is alone."""

    rate: float
    contention: float
    shared: float
    coherency: float = 0.0

    def throughput(self, n: np.ndarray | float, replicas: np.ndarray | int = 1) -> np.ndarray:
        """Requests a second of all replicas where ``n`` are always in the system."""
        n = np.asarray(n, dtype=float)
        contention = self.contention / replicas + self.shared
        return np.asarray(self.rate * n / (1 + contention * (n - 1) + self.coherency * n * (n - 1)))


@dataclass(frozen=True)
class Queue:
    """Waiting at replicas whose users are dealt out by a hash."""

    rate: float
    contention: float
    shared: float
    spread: float

    def speed(self, n: np.ndarray | float, share: float = 1.0) -> np.ndarray:
        """Answers a second of a replica that has ``n`` requests, where it gets this ``share`` of all."""
        n = np.asarray(n, dtype=float)
        held_up = self.contention * (n - 1) + self.shared * (n / share - 1)
        return np.asarray(self.rate * n / (1 + held_up))

    def waiting(self, quantile: float, load: float, replicas: int = 1, busiest: float | None = None) -> float:
        """Seconds that this share of all waits at most, where ``load`` requests a second come by chance.

        The ``busiest`` of the replicas gets this share of them, and the others have the rest alike; None: all
        have alike.
        """
        most = 1 / replicas if busiest is None else busiest
        kinds = [(most, 1.0)] if replicas == 1 else [(most, most), ((1 - most) / (replicas - 1), 1 - most)]
        shape, parts = self.spread**-2, [(*self._found(load, share), of_all) for share, of_all in kinds]

        def waited(seconds: float) -> float:
            within = [
                of_all * (there @ gammainc(shape, shape * seconds / mean)) for there, mean, of_all in parts
            ]
            return float(sum(within)) - quantile

        longest = max(mean.max() for _, mean, _ in parts)
        return float(brentq(waited, 0, longest / (1 - quantile), xtol=1e-9))

    def _found(self, load: float, share: float) -> tuple[np.ndarray, np.ndarray]:
        """How likely one finds 0, 1, ... at a replica with this ``share``, and one's average wait then."""
        n = np.arange(1, MOST + 1)
        speeds = self.speed(n, share)
        steps = np.log(load * share / speeds[:-1]).cumsum()
        found = np.exp(np.append(0.0, steps) - max(0.0, steps.max()))
        return found / found.sum(), n / speeds

    def largest_load(self, quantile: float, seconds: float) -> float:
        """Requests a second at one replica of which this share waits no longer than ``seconds``."""
        alone, most = self.rate * 1e-6, float(self.speed(MOST))
        if seconds < (least := self.waiting(quantile, alone)):
            raise CapacityError(
                f"a p{quantile * 100:g} of {seconds * 1000:g} ms cannot be kept: "
                f"a request that is alone takes {least * 1000:.1f} ms at that quantile"
            )
        if self.waiting(quantile, most) <= seconds:
            return most
        return float(brentq(lambda load: self.waiting(quantile, load) - seconds, alone, most))


@dataclass(frozen=True)
class Fitted:
    """The two models, standard errors of their numbers, and what they say of points that no fit was shown.

    A row of ``held_back`` has the point's kind, replicas and load (connections, or requests a second), the
    measure, what was measured and predicted, and the ``error`` as a share of what was measured.
    """

    scaling: Scaling
    queue: Queue
    scaling_errors: Sequence[float]
    queue_errors: Sequence[float]
    held_back: Sequence[Mapping[str, Any]]

    def error(self, measure: str) -> float:
        """The largest of those at points held back."""
        return max(float(abs(row["error"])) for row in self.held_back if row["measure"] == measure)


def fit(points: Sequence[Point]) -> Fitted:
    """Least squares of relative differences: throughput of closed loads, p50 and p99 of open ones."""
    shown = [point for point in points if not point["held_back"]]
    closed, opened = ([point for point in shown if point["kind"] == kind] for kind in (CLOSED, OPEN))
    if len(closed) < 5 or len(opened) < 3 or len(shown) == len(points):
        raise CapacityError("too few points: 5 closed and 3 open ones are the least, and one held back")
    scaling, scaling_errors = _fitted_scaling(closed)
    queue, queue_errors = _fitted_queue(opened, scaling)
    judged = [row for point in points if point["held_back"] for row in _judged(point, scaling, queue)]
    return Fitted(scaling, queue, scaling_errors, queue_errors, judged)


def _fitted_scaling(points: Sequence[Point]) -> tuple[Scaling, list[float]]:
    n, replicas, seen = (
        np.array([point[name] for point in points])
        for name in ("connections", "replicas", "requests_per_second")
    )
    one = seen[n.argmin()] / n.min()

    def answered(*numbers: float) -> np.ndarray:
        return np.asarray(np.log(Scaling(*numbers).throughput(n, replicas)))

    numbers, errors = _least_squares(answered, np.log(seen), [one, 0.3, 0.1, 1e-4])
    return Scaling(*numbers), errors


def _fitted_queue(points: Sequence[Point], scaling: Scaling) -> tuple[Queue, list[float]]:
    """Beginning at ``scaling``; none of these points is beyond the peak: there is no coherency."""
    seen = [point[measure] / 1000 for point in points for measure in QUANTILES]

    def waited(*numbers: float) -> np.ndarray:
        queue = Queue(*numbers)
        return np.log([_predicted(queue, point, measure) for point in points for measure in QUANTILES])

    start = [scaling.rate, scaling.contention, scaling.shared, 0.5]
    numbers, errors = _least_squares(waited, np.log(seen), start)
    return Queue(*numbers), errors


def _least_squares(
    said: Callable[..., np.ndarray], seen: np.ndarray, start: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Numbers, none below 0, and their standard errors."""
    first = np.maximum(start, 1e-4)
    steps = np.full(len(first), STEP)

    def missed(numbers: np.ndarray) -> np.ndarray:
        return np.asarray(said(*numbers) - seen)

    solved = least_squares(missed, first, bounds=(1e-9, np.inf), x_scale=first, diff_step=steps)
    if not solved.success:
        raise CapacityError(f"the points fit no curve: {solved.message}")
    slopes, variance = np.asarray(solved.jac), 2 * solved.cost / (len(seen) - len(first))
    covariance = variance * np.linalg.pinv(slopes.T @ slopes)
    return solved.x.tolist(), np.sqrt(np.diag(covariance)).tolist()


def _predicted(queue: Queue, point: Point, measure: str) -> float:
    how = (point["requests_per_second"], point["replicas"], point["busiest"])
    return queue.waiting(QUANTILES[measure], *how)


def _judged(point: Point, scaling: Scaling, queue: Queue) -> list[dict[str, Any]]:
    """What is said of one point, beside what was seen."""
    if point["kind"] == CLOSED:
        said = {"requests_per_second": float(scaling.throughput(point["connections"], point["replicas"]))}
        load = point["connections"]
    else:
        said = {measure: _predicted(queue, point, measure) * 1000 for measure in QUANTILES}
        load = point["requests_per_second"]
    return [
        {
            "kind": point["kind"],
            "replicas": point["replicas"],
            "load": load,
            "measure": measure,
            "measured": point[measure],
            "predicted": value,
            "error": value / point[measure] - 1,
        }
        for measure, value in said.items()
    ]
