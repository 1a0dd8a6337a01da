"""Co-occurrence tables: the kernels that item_cf and user_cf are fitted with.

A row of the table is summed in one dense accumulator that stays in the processor's cache, then its
``k`` best are picked out (`recsys.recall.kernels`). Rows are independent, and threads take them
in chunks of equal work, so the number of threads changes nothing in the result. Only ``fit`` imports
this module: it needs numba. What takes a table's arguments takes ``rows`` too: those that are wanted, for a
table that is made in blocks; all if None.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from types import ModuleType

import numpy as np

from recsys.recall.kernels import BLOCK, distance_chunk, distinct, group, middle_chunk, pair_chunk
from recsys.types import DAY, PAD, Engine, Interactions

CHUNKS_PER_THREAD = 16
SCAN_SHARE = 16
"""A row with fewer pairs than this share of its columns is gathered from a list of the touched ones."""
TICKS_PER_DECAY = 256
"""Steps in which a time weight falls by e: the lookup table's error stays under 0.4 %."""
DECAYS = 16
"""Time weights fall to exp(-16) and no further."""


@dataclass(frozen=True)
class Sequences:
    """Each user's distinct items, oldest first; of repeats the newest stands.

    User ``u`` has ``items[offsets[u]:offsets[u + 1]]`` (int32), met at ``timestamps`` (int64, s), of which
    ``first`` is the oldest of all.
    """

    offsets: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray
    n_items: int
    first: int

    @classmethod
    def of(cls, train: Interactions) -> Sequences:
        offsets, order = group(train.user_idx, train.n_users)
        offsets, order = distinct(offsets, order, train.item_idx, train.n_items)
        first = int(train.timestamp.min()) if len(train) else 0
        return cls(offsets, train.item_idx[order], train.timestamp[order], train.n_items, first)

    @property
    def lengths(self) -> np.ndarray:
        lengths: np.ndarray = np.diff(self.offsets)
        return lengths

    @property
    def users(self) -> np.ndarray:
        """User of each entry, int32."""
        return np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int32), self.lengths)

    def last(self, n: int) -> Sequences:
        """Each user's newest ``n``."""
        kept = self.left < n
        offsets = np.concatenate([[0], np.minimum(self.lengths, n).cumsum()])
        return Sequences(offsets, self.items[kept], self.timestamps[kept], self.n_items, self.first)

    @property
    def left(self) -> np.ndarray:
        """How many of the user's entries come after each."""
        return np.repeat(self.offsets[1:], self.lengths) - np.arange(len(self.items)) - 1

    def newest(self) -> np.ndarray:
        """When each user was last seen (float64, s); -inf for one without items."""
        newest = np.full(len(self.lengths), -np.inf)
        met = self.lengths > 0
        newest[met] = self.timestamps[self.offsets[1:][met] - 1]
        return newest

    @property
    def users_by_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Item ``i`` was met by ``users[offsets[i]:offsets[i + 1]]``, ascending."""
        offsets, positions = self.positions_by_item
        return offsets, self.users[positions]

    @property
    def users_by_item_in_time(self) -> tuple[np.ndarray, np.ndarray]:
        """As `users_by_item`, but the user who met the item last stands last."""
        order = np.argsort(self.timestamps, kind="stable")
        offsets, positions = group(self.items[order], self.n_items)
        return offsets, self.users[order[positions]]

    @property
    def positions_by_item(self) -> tuple[np.ndarray, np.ndarray]:
        """Item ``i`` stands at ``positions[offsets[i]:offsets[i + 1]]``, users ascending."""
        offsets, positions = group(self.items, self.n_items)
        return offsets, positions


@dataclass(frozen=True)
class Similarity:
    """From a co-occurrence ``c`` of rows ``i`` and ``j`` with degrees ``n`` to a similarity.

    ``c / ((n_i n_j) ** power + shrinkage)``, times ``same`` where the two share a label, times
    ``other`` where not. ``labels`` are bit masks (uint64) that share a bit or, if ``exact``, codes
    (any integers, negative for unknown) that are equal; None leaves the factors out.
    """

    degrees: np.ndarray
    power: float
    shrinkage: float = 0.0
    labels: np.ndarray | None = None
    exact: bool = False
    same: float = 1.0
    other: float = 1.0

    def arguments(self, rows: np.ndarray) -> tuple[object, ...]:
        """Return what the kernels take, in their order, for the table's rows in the order of ``rows``."""
        # Up to whole blocks.
        scale = np.ones(-(-len(rows) // BLOCK) * BLOCK, dtype=np.float32)
        scale[: len(rows)] = np.maximum(self.degrees[rows], 1.0) ** self.power
        labels = np.zeros(0) if self.labels is None else self.labels[rows]
        return (
            scale,
            np.float32(self.shrinkage),
            labels.astype(np.int64),
            self.exact,
            np.float32(self.same),
            np.float32(self.other),
        )


def tables_of(engine: Engine) -> ModuleType:
    """The module that has an engine's `weighed_by_middle`, `weighed_by_distance` and `weighed_by_pairs`."""
    names = {"local": "recsys.recall.cooccurrence", "spark": "recsys.recall.cooccurrence_on_spark"}
    if engine not in names:
        raise ValueError(f"there is no engine {engine!r}, only {', '.join(names)}")
    return import_module(names[engine])


def weighed_by_middle(
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    similarity: Similarity,
    k: int,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` rows most similar to each row, where a shared middle counts ``weight[middle]``.

    ``first`` (offsets, middles) leads from rows to middles, ``second`` (starts, ends, rows) back.
    With items as rows, users are the middles, and the other way round. Returns row numbers (int32,
    PAD where fewer) and similarities (float32, 0 there), both (n_rows, k), best first, ties by row.
    """
    offsets, middles = first
    starts, ends, members = second
    work = _work(offsets, (ends - starts)[middles])
    names, columns = _busiest_first(members, len(work))
    arguments = (offsets, middles, weight.astype(np.float32), starts, ends, columns)
    return _in_threads(middle_chunk, (*arguments, *similarity.arguments(names)), names, work, k, rows)


def weighed_by_distance(
    sequences: Sequences,
    weight: np.ndarray,
    time_decay: float,
    step_decay: float,
    backward: float,
    similarity: Similarity,
    k: int,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` items most similar to each item, by pairs that know their order and distance.

    A user's pair of ``i`` and ``j`` counts ``weight[user] * exp(-time_decay * days apart) *
    exp(-step_decay * steps apart)``, and ``backward`` of that in the row of ``i`` if ``j`` came
    before it. Returns as `weighed_by_middle`.
    """
    offsets, positions = sequences.positions_by_item
    users = sequences.users
    work = _work(offsets, sequences.lengths[users[positions]])
    names, columns = _busiest_first(sequences.items, len(work))
    arguments = (
        offsets,
        positions,
        users,
        weight.astype(np.float32),
        sequences.offsets,
        columns,
        _ticks(sequences.timestamps - sequences.first, time_decay),
        _falling(1 / TICKS_PER_DECAY, DECAYS * TICKS_PER_DECAY if time_decay else 1),
        _falling(step_decay, _steps(step_decay, sequences.lengths)),
        np.float32(backward),
    )
    return _in_threads(distance_chunk, (*arguments, *similarity.arguments(names)), names, work, k, rows)


def weighed_by_pairs(
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    sequences: Sequences,
    smoothing: float,
    similarity: Similarity,
    k: int,
    rows: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` items most similar to each item, by the pairs of users who met both.

    ``first`` (offsets, users) leads from items to those of their users who are asked. A pair of them counts
    ``weight[one] * weight[other] / (smoothing + items that both met)``. Returns as `weighed_by_middle`.
    """
    offsets, users = first
    members, lengths = np.diff(offsets), sequences.lengths[users]
    # Each user is read as often as there are others.
    work = _work(offsets, lengths) * np.maximum(members - 1, 0) // 2
    names, columns = _busiest_first(sequences.items, len(members))
    arguments = (offsets, users, weight.astype(np.float32), sequences.offsets, columns, np.float32(smoothing))
    return _in_threads(pair_chunk, (*arguments, *similarity.arguments(names)), names, work, k, rows)


def _ticks(seconds: np.ndarray, decay: float) -> np.ndarray:
    """Whole steps of the time weight's lookup table in so many seconds since the oldest event."""
    if not len(seconds) or not decay:
        return np.zeros(len(seconds), dtype=np.int32)
    per_second = decay * TICKS_PER_DECAY / DAY
    if seconds.max() * per_second >= np.iinfo(np.int32).max:
        raise ValueError(f"time_decay {decay} a day is too steep for {seconds.max() / DAY:.0f} days of data")
    steps: np.ndarray = (seconds * per_second).astype(np.int32)
    return steps


def _falling(rate: float, n: int) -> np.ndarray:
    weights: np.ndarray = np.exp(-rate * np.arange(n))
    return weights.astype(np.float32)


def _steps(decay: float, lengths: np.ndarray) -> int:
    return int(min(DECAYS / decay, lengths.max(initial=0))) + 1 if decay else 1


def _work(offsets: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Pairs to be counted in each row."""
    return np.diff(np.concatenate([[0], pairs.cumsum(dtype=np.int64)])[offsets])


def _busiest_first(rows: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Order the rows by how often they occur, and tell each entry's place in that order.

    Sums of what occurs most then lie side by side, in the fastest cache.
    """
    names = np.argsort(-np.bincount(rows, minlength=n), kind="stable").astype(np.int32)
    # Unsigned, which spares the kernels a look for negative ones.
    places = np.empty(n, dtype=np.uint32)
    places[names] = np.arange(n, dtype=np.uint32)
    return names, places[rows]


def _in_threads(
    chunk: Callable[..., None],
    arguments: tuple[object, ...],
    names: np.ndarray,
    work: np.ndarray,
    k: int,
    rows: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    n = len(names)
    asked, into = (np.arange(n), names) if rows is None else _places(names, rows)
    k = min(k, max(n - 1, 0))
    best = np.full((len(asked), k), PAD, dtype=np.int32)
    scores = np.zeros((len(asked), k), dtype=np.float32)
    if not k or not len(asked):
        return best, scores
    work = work[names]
    scanned = work > n // SCAN_SHARE
    threads = len(os.sched_getaffinity(0))
    done = np.cumsum(work[asked] + 1)
    cuts = np.searchsorted(done, np.linspace(0, done[-1], threads * CHUNKS_PER_THREAD + 1)[1:-1])
    edges = np.unique([0, *cuts, len(asked)])
    with ThreadPoolExecutor(threads) as pool:
        running = [
            pool.submit(chunk, int(low), int(high), asked, into, scanned, names, *arguments, best, scores)
            for low, high in pairwise(edges)
        ]
        for each in running:
            each.result()
    return best, scores


def _places(names: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of ``rows`` among ``names``, ascending, and which of them each is."""
    places = np.empty(len(names), dtype=np.int64)
    places[names] = np.arange(len(names))
    into = np.argsort(places[rows])
    return places[rows][into], into
