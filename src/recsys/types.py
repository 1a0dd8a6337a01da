"""What everything else is written in: interactions, requests, candidates, and a channel's contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, Literal, Protocol, Self, TypeVar

import numpy as np
from numba import njit
from scipy import sparse

from recsys.artifacts import read_arrays, write_arrays
from recsys.columns import LABEL_PREFIX, label

PAD = -1
"""Fills short rows of row numbers; also the row number of whoever is unknown."""
DAY = 86_400
"""Seconds."""
Engine = Literal["local", "spark"]
"""What makes large tables: this process with its threads, or Apache Spark. They are the same."""
Model = TypeVar("Model", covariant=True)


def filled(shape: tuple[int, ...], value: float, dtype: type[np.generic]) -> np.ndarray:
    """What `numpy.full` makes, in a third of its time: a request makes many small ones."""
    array = np.empty(shape, dtype)
    array.fill(value)
    return array


@dataclass(frozen=True)
class Histories:
    """Past interactions of a batch of users, oldest first: views into shared flat arrays.

    Row ``i`` is ``[starts[i], ends[i])`` of ``items`` (int32), ``timestamps`` (int64, s) and
    ``values`` (float32); cutting a batch or moving a user's clock back copies nothing.
    """

    items: np.ndarray
    timestamps: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def lengths(self) -> np.ndarray:
        return np.asarray(self.ends - self.starts)

    def __getitem__(self, rows: np.ndarray | slice) -> Histories:
        return Histories(self.items, self.timestamps, self.values, self.starts[rows], self.ends[rows])

    @classmethod
    def joined(cls, histories: Sequence[Histories]) -> Histories:
        """One batch of these ``histories`` of one user each, copied."""
        own = [slice(each.starts[0], each.ends[0]) for each in histories]
        ends = np.cumsum([each.lengths[0] for each in histories])
        flat = {
            name: np.concatenate([getattr(each, name)[at] for each, at in zip(histories, own, strict=True)])
            for name in ("items", "timestamps", "values")
        }
        return cls(**flat, starts=np.concatenate([[0], ends[:-1]]), ends=ends)

    def then(self, items: np.ndarray, timestamps: np.ndarray, values: np.ndarray) -> Histories:
        """The one history that this is with more in it, in the order of time; equal times stay in order."""
        own = slice(self.starts[0], self.ends[0])
        when = np.concatenate([self.timestamps[own], timestamps])
        order = np.argsort(when, kind="stable")
        return Histories(
            items=np.concatenate([self.items[own], items])[order].astype(np.int32),
            timestamps=when[order].astype(np.int64),
            values=np.concatenate([self.values[own], values])[order].astype(np.float32),
            starts=np.zeros(1, dtype=np.int64),
            ends=np.array([len(when)]),
        )

    def last(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Last ``n``, newest first: items (padded with PAD), timestamps, values, each (rows, n)."""
        shape = (len(self), n)
        items, times = filled(shape, PAD, np.int32), np.zeros(shape, dtype=np.int64)
        values = np.zeros(shape, dtype=np.float32)
        _last(self.items, self.timestamps, self.values, self.starts, self.ends, items, times, values)
        return items, times, values

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Every past interaction of the batch: its row in the batch and its position in the flat arrays."""
        rows = np.repeat(np.arange(len(self)), self.lengths)
        first = np.cumsum(self.lengths) - self.lengths
        return rows, np.arange(len(rows)) - first[rows] + self.starts[rows]


@dataclass(frozen=True)
class Interactions:
    """Who met which item, when: rows in the order of time, ties in the order the data stage drew.

    ``user_idx`` and ``item_idx`` (int32) are row numbers of the vocabularies, ``timestamp`` is
    int64 seconds, ``value`` float32, ``labels`` one float32 array a task, ``context`` what the page knew
    when it asked (float64 or str with None) by name, ``observed`` (float32, NaN where nothing is told) what
    is seen of the item then, as its price. What a user has met may be recommended again where
    ``seen_return``.
    """

    user_idx: np.ndarray
    item_idx: np.ndarray
    timestamp: np.ndarray
    value: np.ndarray
    labels: Mapping[str, np.ndarray]
    n_users: int
    n_items: int
    seen_return: bool = False
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    observed: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.user_idx)

    def __getitem__(self, rows: np.ndarray | slice) -> Interactions:
        """Rows picked by mask, position or slice; the vocabularies stay whole.

        A mask of rows that lie together copies nothing.
        """
        rows = _together(rows)
        return replace(
            self,
            user_idx=self.user_idx[rows],
            item_idx=self.item_idx[rows],
            timestamp=self.timestamp[rows],
            value=self.value[rows],
            labels={task: label[rows] for task, label in self.labels.items()},
            context={name: told[rows] for name, told in self.context.items()},
            observed={name: told[rows] for name, told in self.observed.items()},
        )

    @cached_property
    def by_user(self) -> np.ndarray:
        """Positions of all rows, user after user, each user's in the order of time."""
        return np.argsort(self.user_idx, kind="stable")

    @cached_property
    def user_counts(self) -> np.ndarray:
        """How many rows each user has, (n_users,) int64."""
        return np.bincount(self.user_idx, minlength=self.n_users)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """How many rows each item has, (n_items,) int64."""
        return np.bincount(self.item_idx, minlength=self.n_items)

    @cached_property
    def offsets(self) -> np.ndarray:
        """User ``u`` has ``by_user[offsets[u]:offsets[u + 1]]``."""
        return np.concatenate([[0], self.user_counts.cumsum()])

    @property
    def newest(self) -> int:
        """The last moment, in seconds; 0 where there is no row."""
        return int(self.timestamp.max(initial=0))

    def sample(self) -> Interactions:
        """What encoders learn ranges and words from: all of it, as it is in memory."""
        return self

    def bare(self) -> Interactions:
        """Who met what and when, without all that was told besides."""
        return replace(self, labels={}, context={}, observed={})

    def user_after_user(self) -> Interactions:
        """The same rows, each user's in the order of time: itself where they lie so already."""
        if (self.user_idx[1:] >= self.user_idx[:-1]).all():
            return self
        return self[np.argsort(self.user_idx, kind="stable")]  # `by_user` would be kept

    @cached_property
    def _sorted(self) -> Histories:
        rows = self.bare().user_after_user()
        return Histories(rows.item_idx, rows.timestamp, rows.value, self.offsets[:-1], self.offsets[1:])

    def histories(self, users: np.ndarray) -> Histories:
        """Whole histories of ``users``; PAD has an empty one."""
        known, past = users != PAD, self._sorted
        rows = np.where(known, users, 0)
        starts = past.starts[rows]
        ends = np.where(known, past.ends[rows], starts)
        return Histories(past.items, past.timestamps, past.values, starts, ends)

    def histories_before(self, rows: np.ndarray) -> Histories:
        """For each of ``rows`` (positions here), what its user had done before it."""
        place = np.empty(len(self), dtype=np.int64)
        place[self.by_user] = np.arange(len(self))
        users = self.user_idx[rows]
        return replace(self._sorted, starts=self.offsets[users], ends=place[rows])

    def fresh(self, days: float) -> np.ndarray:
        """Which items were first met in the last ``days``, or never, (n_items,) bool."""
        first = np.full(self.n_items, np.iinfo(np.int64).max)
        np.minimum.at(first, self.item_idx, self.timestamp)
        # Counted back from the newest event, never from today: a rerun must agree.
        return np.asarray(first > self.newest - days * DAY)

    @property
    def pairs(self) -> np.ndarray:
        """Who met what, as a number each, (n,) int64."""
        return np.asarray(self.user_idx.astype(np.int64) * self.n_items + self.item_idx)

    def matrix(self) -> sparse.csr_matrix:
        """Users x items, 1 where they met (repeats count once)."""
        ones = np.ones(len(self), dtype=np.float32)
        shape = (self.n_users, self.n_items)
        met = sparse.csr_matrix((ones, (self.user_idx, self.item_idx)), shape=shape)
        met.data[:] = 1
        return met

    def save(self, path: Path) -> None:
        """Write one ``.npz``, without context and what was observed: nobody who answers needs those."""
        arrays = {name: getattr(self, name) for name in ("user_idx", "item_idx", "timestamp", "value")}
        sizes = {name: np.array(getattr(self, name)) for name in ("n_users", "n_items", "seen_return")}
        write_arrays(path, {**arrays, **sizes, **{label(task): each for task, each in self.labels.items()}})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(path)
        n_users, n_items = int(arrays.pop("n_users")), int(arrays.pop("n_items"))
        seen_return = bool(arrays.pop("seen_return", False))
        tasks = [name for name in arrays if name.startswith(LABEL_PREFIX)]
        labels = {name.removeprefix(LABEL_PREFIX): arrays.pop(name) for name in tasks}
        return cls(
            user_idx=arrays["user_idx"],
            item_idx=arrays["item_idx"],
            timestamp=arrays["timestamp"],
            value=arrays["value"],
            labels=labels,
            n_users=n_users,
            n_items=n_items,
            seen_return=seen_return,
        )


def _together(rows: np.ndarray | slice) -> np.ndarray | slice:
    """The same ``rows`` as a slice, where they are a mask of one piece."""
    if isinstance(rows, slice) or rows.dtype != bool or not rows.any():
        return rows
    first, last = int(rows.argmax()), len(rows) - int(rows[::-1].argmax())
    return slice(first, last) if rows[first:last].all() else rows


@dataclass(frozen=True)
class Requests:
    """A batch of users at the moment they ask: all that serving knows of them.

    ``users`` (n,) int64, PAD for unknown; ``now`` (n,) int64 seconds; one history each, whose items no list
    holds unless ``seen_return``. Of the ``context`` (n,) by name, what is not told is unknown.
    """

    users: np.ndarray
    now: np.ndarray
    history: Histories
    seen_return: bool = False
    context: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, rows: np.ndarray | slice) -> Requests:
        context = {name: told[rows] for name, told in self.context.items()}
        return Requests(self.users[rows], self.now[rows], self.history[rows], self.seen_return, context)

    @property
    def seen(self) -> Histories:
        """What no list may hold."""
        return replace(self.history, ends=self.history.starts) if self.seen_return else self.history

    @classmethod
    def of(cls, users: np.ndarray, past: Interactions, now: np.ndarray | int) -> Requests:
        """Requests of ``users`` at ``now`` whose history is all of ``past``."""
        users = np.asarray(users, dtype=np.int64)
        moments = np.broadcast_to(np.asarray(now, dtype=np.int64), users.shape)
        return cls(users, moments, past.histories(users), past.seen_return)


@dataclass(frozen=True)
class Candidates:
    """Ranked items per user, best first; short rows end in PAD, scored -inf.

    ``items`` (n, k) int64 row numbers of the item vocabulary, ``scores`` (n, k) float32.
    """

    items: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: np.ndarray | slice) -> Candidates:
        return Candidates(self.items[rows], self.scores[rows])

    @classmethod
    def none(cls, n: int, k: int) -> Candidates:
        """Nothing for anyone."""
        return cls(filled((n, k), PAD, np.int64), filled((n, k), -np.inf, np.float32))

    def top(self, k: int) -> Candidates:
        """The first ``k`` columns, padded where there are fewer."""
        missing = k - self.items.shape[1]
        if missing == 0:
            return self
        items, scores = self.items[:, :k], self.scores[:, :k]
        if missing > 0:
            items = np.pad(items, ((0, 0), (0, missing)), constant_values=PAD)
            scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
        return Candidates(items, scores)


@dataclass(frozen=True)
class MergedCandidates:
    """Candidates of many channels in one list a user, with what each channel said of them.

    ``items`` (n, k) int64, best first, short rows end in PAD; ``scores`` (n, k) float32 (comparable within
    a user only), -inf there; ``ranks`` (n, k, channels) int32, from 0, PAD where a channel did not find the
    item; ``channel_scores`` (n, k, channels) float32, NaN there.
    """

    channels: tuple[str, ...]
    items: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    channel_scores: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: np.ndarray | slice) -> MergedCandidates:
        return MergedCandidates(
            channels=self.channels,
            items=self.items[rows],
            scores=self.scores[rows],
            ranks=self.ranks[rows],
            channel_scores=self.channel_scores[rows],
        )

    @classmethod
    def none(cls, channels: Sequence[str], n: int, k: int) -> MergedCandidates:
        """Nothing for anyone."""
        empty, deep = Candidates.none(n, k), (n, k, len(channels))
        ranks, scores = filled(deep, PAD, np.int32), filled(deep, np.nan, np.float32)
        return cls(tuple(channels), empty.items, empty.scores, ranks, scores)


@dataclass(frozen=True)
class WarmStart(Generic[Model]):
    """A ``model`` that was fitted before, for one that goes on from it.

    ``users`` (n_users,) and ``items`` (n_items,) int64 say which row each had then, PAD for who is new;
    ``rows`` (n,) int64 are those of train to learn from now.
    """

    model: Model
    users: np.ndarray
    items: np.ndarray
    rows: np.ndarray

    @staticmethod
    def moved(before: np.ndarray, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Vectors (n, d) float32 that stood ``before`` at ``places`` (n,), ``others`` (n, d) where PAD."""
        return np.where((places == PAD)[:, None], others, before[places]).astype(np.float32)


class Recall(Protocol):
    """A recall channel: fitted on interactions, it answers requests with candidates.

    ``recall`` never returns what ``requests.seen`` holds, answers a batch as it would one by
    one, and gives an empty row (all PAD) where it knows nothing of the user.
    """

    name: str

    def fit(self, train: Interactions) -> Self: ...
    def recall(self, requests: Requests, k: int) -> Candidates: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Self: ...


@njit(nogil=True, cache=True)
def _last(items, timestamps, values, starts, ends, last_items, last_timestamps, last_values):  # type: ignore[no-untyped-def]
    for row in range(len(starts)):
        for place in range(min(last_items.shape[1], ends[row] - starts[row])):
            at = ends[row] - 1 - place
            last_items[row, place], last_timestamps[row, place] = items[at], timestamps[at]
            last_values[row, place] = values[at]
