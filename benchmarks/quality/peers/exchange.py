"""What a peer is told and what it writes: the part of the harness that runs in the peers' environments.

Needs nothing but numpy. A peer's program gives `answer` its models: each fits on a `Moment` and yields, after
so many epochs (0 where there are none), a function that ranks items for users.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

K = 300
"""Length of a list."""
BLOCK = 500
"""Users whose whole catalogue is ranked at once."""
PAD = -1
"""Fills short lists."""

Rank = Callable[[np.ndarray, int], np.ndarray]
"""Users (n,) and k to items (n, k), best first, none that the user has met."""
Model = Callable[["Moment", Mapping[str, Any], list[int]], Iterator[tuple[int, Rank]]]
"""Of a moment, settings and numbers of epochs, rising: after each of them, how items are ranked then."""


@dataclass(frozen=True)
class Moment:
    """What was known, and who asks.

    The past, a row an interaction in the order of time (ties as the data stage drew them): ``user_idx``,
    ``item_idx``, ``timestamp`` (s), ``value``. ``user_attributes`` (n_users, a) and ``item_attributes``
    (n_items, b) are codes, 0 for unknown. ``users`` (n,) ask, each at the second ``now`` (n,); ``sampled``
    (n, 100) are items to be put in order for each, no columns where nobody wants that.
    """

    user_idx: np.ndarray
    item_idx: np.ndarray
    timestamp: np.ndarray
    value: np.ndarray
    user_attributes: np.ndarray
    item_attributes: np.ndarray
    users: np.ndarray
    now: np.ndarray
    sampled: np.ndarray

    @classmethod
    def load(cls, path: Path) -> Moment:
        with np.load(path) as arrays:
            return cls(**arrays)

    @property
    def n_users(self) -> int:
        return len(self.user_attributes)

    @property
    def n_items(self) -> int:
        return len(self.item_attributes)

    def sequences(self) -> tuple[np.ndarray, np.ndarray]:
        """All items met, user after user in the order of time; u has those at ``[ends[u], ends[u + 1])``."""
        counts = np.bincount(self.user_idx, minlength=self.n_users)
        items = self.item_idx[np.argsort(self.user_idx, kind="stable")]
        return items, np.concatenate([[0], counts.cumsum()])

    def seen(self, users: np.ndarray) -> np.ndarray:
        """Which items each of ``users`` has met, (n, n_items) bool."""
        row = np.full(self.n_users, PAD)
        row[users] = np.arange(len(users))
        rows = row[self.user_idx]
        met = np.zeros((len(users), self.n_items), dtype=bool)
        met[rows[rows != PAD], self.item_idx[rows != PAD]] = True
        return met

    def rank_by(self, score: Callable[[np.ndarray], np.ndarray]) -> Rank:
        """Rank by scores (n, n_items) of users (n,), equal ones by row number; -inf is never recommended."""

        def best(users: np.ndarray, k: int) -> np.ndarray:
            scores = np.where(self.seen(users), -np.inf, score(users))
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            return np.where(np.isneginf(np.take_along_axis(scores, order, axis=1)), PAD, order)

        def rank(users: np.ndarray, k: int) -> np.ndarray:
            return np.concatenate([best(block, k) for block in in_blocks(users)])

        return rank


def in_blocks(rows: np.ndarray) -> list[np.ndarray]:
    """Parts of `BLOCK` rows, the last may be shorter."""
    return np.split(rows, range(BLOCK, len(rows), BLOCK))


def answer(models: Mapping[str, Model]) -> None:
    """Run the model that the command line names, and write its lists and what they took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=models)
    parser.add_argument("moment", type=Path)
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("into", type=Path)
    given = parser.parse_args()
    moment = Moment.load(given.moment)
    settings = dict(given.settings)
    epochs = settings.pop("epochs", [0])
    told: dict[str, dict[str, float]] = {}
    fitting, began = 0.0, time.process_time()
    for done, rank in models[given.model](moment, settings, epochs):
        fitted = time.process_time()
        fitting += fitted - began
        lists = rank(moment.users, K)
        began = time.process_time()
        told[str(done)] = {"fit_seconds": fitting, "recommend_seconds": began - fitted}
        arrays = {"items": lists.astype(np.int32)}
        if moment.sampled.shape[1]:
            arrays["sampled"] = in_order(moment, rank)
        np.savez(given.into / f"{done}.npz", **arrays)
        began = time.process_time()
    told["all"] = {"cpu_seconds": time.process_time(), "peak_mb": peak_mb()}
    (given.into / "told.json").write_text(json.dumps(told))


def in_order(moment: Moment, rank: Rank) -> np.ndarray:
    """The sampled items of each user as they stand in a ranking of the whole catalogue, (n, 100) int32.

    What is not in it comes last; the positive, which is the last of those sampled, last of all.
    """
    blocks = []
    for users, sampled in zip(in_blocks(moment.users), in_blocks(moment.sampled), strict=True):
        ranked = rank(users, moment.n_items)
        rows, places = np.nonzero(ranked != PAD)
        place = np.full((len(users), moment.n_items), moment.n_items)
        place[rows, ranked[rows, places]] = places
        order = np.argsort(np.take_along_axis(place, sampled, axis=1), axis=1, kind="stable")
        blocks.append(np.take_along_axis(sampled, order, axis=1))
    return np.concatenate(blocks).astype(np.int32)


def peak_mb() -> int:
    """Peak memory of this process: getrusage's would be the parent's where that was the larger one."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024
