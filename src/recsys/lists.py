"""Each known user's list, made with the release: the answer where nothing can be computed, by one lookup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recsys.artifacts import read_arrays, write_arrays
from recsys.pipeline import Recommender
from recsys.types import Candidates

LISTS = "lists.npz"
"""File beside the recommender's own that holds them."""
USERS = 64
"""Users that are answered at once."""


def make_lists(recommender: Recommender) -> Candidates:
    """Each known user's ranked list at the release's own moment, as long as the re-ranker's pool.

    So whoever re-ranks it shows what would be shown to a user who has done nothing since.
    """
    n, k = len(recommender.catalogue.users), recommender.reranking.pool
    lists = Candidates.none(n, k)
    for start in tqdm(range(0, n, USERS), desc="Lists", unit_scale=USERS, unit=" users", disable=None):
        rows = np.arange(start, min(start + USERS, n))
        requests = recommender.requests(rows)
        ranked = recommender.rank(requests, recommender.recall(requests))
        lists.items[rows], lists.scores[rows] = ranked.items[:, :k], ranked.scores[:, :k]
    return lists


def save_lists(lists: Candidates, path: Path) -> None:
    """Write one ``.npz``."""
    write_arrays(path, {"items": lists.items.astype(np.int32), "scores": lists.scores})


def load_lists(path: Path) -> Candidates:
    """Read what `save_lists` wrote."""
    arrays = read_arrays(path)
    return Candidates(arrays["items"], arrays["scores"])


def lists_in(path: Path, recommender: Recommender) -> Iterator[tuple[str, bytes]]:
    """Each user's id and list, as a store keeps it, of what `save_lists` wrote."""
    return zip(recommender.catalogue.users.ids.tolist(), packed(load_lists(path)), strict=True)


def packed(lists: Candidates) -> Iterator[bytes]:
    """Each user's list as a store keeps it."""
    for items, scores in zip(lists.items.astype(np.int32), lists.scores, strict=True):
        yield items.tobytes() + scores.tobytes()


def unpacked(stored: Sequence[bytes]) -> Candidates:
    """The lists that `packed` made bytes of."""
    halves = np.stack([np.frombuffer(each, dtype=np.int32).reshape(2, -1) for each in stored])
    return Candidates(halves[:, 0].astype(np.int64), halves[:, 1].view(np.float32))
