"""Each known user's list, made with the release: the answer where nothing can be computed, by one lookup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recsys.artifacts import read_arrays, write_arrays
from recsys.pipeline import Recommender
from recsys.types import Candidates

FILE = "lists.npz"
"""Part of a release that holds them."""
USERS = 64
"""Users that are answered at once."""


def make(recommender: Recommender) -> Candidates:
    """Each known user's ranked list at the release's own moment, as long as the re-ranker's pool.

    So whoever re-ranks it shows what would be shown to a user who has done nothing since.
    """
    n, k = len(recommender.catalogue.users), recommender.reranking.pool
    lists = Candidates.none(n, k)
    for start in tqdm(range(0, n, USERS), desc="Lists", unit_scale=USERS, unit=" users"):
        rows = np.arange(start, min(start + USERS, n))
        requests = recommender.requests(rows)
        ranked = recommender.rank(requests, recommender.recall(requests))
        lists.items[rows], lists.scores[rows] = ranked.items[:, :k], ranked.scores[:, :k]
    return lists


def save(lists: Candidates, path: Path) -> None:
    """Write one ``.npz``."""
    write_arrays(path, {"items": lists.items.astype(np.int32), "scores": lists.scores})


def load(path: Path) -> Candidates:
    """Read what `save` wrote."""
    arrays = read_arrays(path)
    return Candidates(arrays["items"], arrays["scores"])


def packed(lists: Candidates) -> Iterator[bytes]:
    """Each user's list as a store keeps it."""
    for items, scores in zip(lists.items.astype(np.int32), lists.scores, strict=True):
        yield items.tobytes() + scores.tobytes()


def unpacked(stored: bytes) -> Candidates:
    """The one list that `packed` made bytes of."""
    items, scores = np.split(np.frombuffer(stored, dtype=np.int32), 2)
    return Candidates(items[None].astype(np.int64), scores[None].view(np.float32))
