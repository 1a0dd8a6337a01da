"""Known users' lists, made with the release: the answer where nothing can be computed, by one lookup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from tqdm import tqdm

from recsys.artifacts import read_arrays, write_arrays
from recsys.pipeline import Recommender
from recsys.types import Candidates, Interactions

LISTS = "lists.npz"
"""File beside the recommender's own that holds them."""
AT_ONCE = 64
"""Users that are answered at once."""


@dataclass(frozen=True)
class Lists:
    """``ranked`` lists of ``users`` (n,) int64, rows of the vocabulary, ascending."""

    users: np.ndarray
    ranked: Candidates

    @classmethod
    def of(cls, recommender: Recommender, most: int | None = None) -> Self:
        """Lists at the release's own moment, as long as the re-ranker's pool, for ``most`` users or all.

        So whoever re-ranks one shows what would be shown to a user who has done nothing since. Of more users
        than ``most`` those have one who were there last.
        """
        if most is not None and most < 1:
            raise ValueError(f"lists of {most} users are none")
        users, k = _newest(recommender.past, most), recommender.reranking.pool
        ranked = Candidates.none(len(users), k)
        starts = range(0, len(users), AT_ONCE)
        for start in tqdm(starts, desc="Lists", unit_scale=AT_ONCE, unit=" users", disable=None):
            rows = slice(start, start + AT_ONCE)
            requests = recommender.requests(users[rows])
            shown = recommender.rank(requests, recommender.recall(requests))
            best = Candidates(shown.items, shown.scores).top(k)
            ranked.items[rows], ranked.scores[rows] = best.items, best.scores
        return cls(users, ranked)

    def packed(self) -> Iterator[bytes]:
        """Each list as a store keeps it."""
        for items, scores in zip(self.ranked.items.astype(np.int32), self.ranked.scores, strict=True):
            yield items.tobytes() + scores.tobytes()

    def save(self, path: Path) -> None:
        """Write one ``.npz``."""
        items = self.ranked.items.astype(np.int32)
        write_arrays(path, {"users": self.users, "items": items, "scores": self.ranked.scores})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(path)
        users = arrays.get("users", np.arange(len(arrays["items"])))  # older releases have all of them
        return cls(users, Candidates(arrays["items"], arrays["scores"]))


def lists_in(path: Path, recommender: Recommender) -> Iterator[tuple[str, bytes]]:
    """Users' ids and lists, as a store keeps them, of what `Lists.save` wrote."""
    lists = Lists.load(path)
    return zip(recommender.catalogue.users.decode(lists.users).tolist(), lists.packed(), strict=True)


def _newest(past: Interactions, most: int | None) -> np.ndarray:
    """Rows of the ``most`` users who were there last, ascending."""
    last = np.full(past.n_users, np.iinfo(np.int64).min)
    np.maximum.at(last, past.user_idx, past.timestamp)
    return np.sort(np.argsort(last, kind="stable")[::-1][:most])


def unpacked(stored: Sequence[bytes]) -> Candidates:
    """The lists that `Lists.packed` made bytes of."""
    halves = np.stack([np.frombuffer(each, dtype=np.int32).reshape(2, -1) for each in stored])
    return Candidates(halves[:, 0].astype(np.int64), halves[:, 1].view(np.float32))
