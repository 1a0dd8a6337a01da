"""What every channel ends with: drop what was seen, keep the best, equal scores by item row number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from recsys.types import PAD, Candidates, Histories, Requests

BLOCK_CELLS = 1 << 23
"""Users times items held at once: 8 MB of marks, 32 MB of scores."""
LOW = np.uint64(0xFFFF_FFFF)


def in_blocks(
    requests: Requests, k: int, n_items: int, answer: Callable[[Requests], Candidates]
) -> Candidates:
    """``answer`` for as many requests at a time as a block holds, at least ``k`` wide each."""
    size = max(BLOCK_CELLS // max(n_items, 1), 1)
    blocks = [answer(requests[start : start + size]) for start in range(0, len(requests), size)]
    if not blocks:
        return Candidates.none(0, k)
    return Candidates(
        np.concatenate([block.items for block in blocks]), np.concatenate([block.scores for block in blocks])
    )


def seen_by(history: Histories, n_items: int) -> np.ndarray:
    """Mark (n, n_items) what each history holds."""
    seen = np.zeros((len(history), n_items), dtype=bool)
    rows, at = history.flat()
    seen[rows, history.items[at]] = True
    return seen


def best_unseen(scores: np.ndarray, history: Histories, k: int) -> Candidates:
    """Pick the ``k`` best of all items by ``scores`` (n, n_items) float32, which it writes over.

    An item scored -inf is no candidate.
    """
    n, n_items = scores.shape
    rows, at = history.flat()
    scores[rows, history.items[at]] = -np.inf
    # What equals the k-th best stays: ties are settled among all of them.
    least = np.partition(scores, n_items - k, axis=1)[:, n_items - k, None] if k < n_items else -np.inf
    rows, items = np.nonzero((scores >= least) & (scores > -np.inf))
    return _best(_in_rows(n, rows, _keys(scores[rows, items], items)), k)


def best_unseen_of(candidates: sparse.csr_matrix, history: Histories, k: int) -> Candidates:
    """Pick the ``k`` best of the items that ``candidates`` (n, n_items), with distinct columns, holds."""
    n, n_items = candidates.shape
    rows = np.repeat(np.arange(n), np.diff(candidates.indptr))
    unseen = ~seen_by(history, n_items)[rows, candidates.indices]
    keys = _keys(candidates.data[unseen], candidates.indices[unseen])
    return _best(_in_rows(n, rows[unseen], keys), k)


def _in_rows(n: int, rows: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """``keys`` of ascending ``rows`` as a matrix (n, longest row), filled up with 0."""
    lengths = np.bincount(rows, minlength=n)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    filled = np.zeros((n, lengths.max(initial=0)), dtype=np.uint64)
    filled[rows, columns] = keys
    return filled


def _keys(scores: np.ndarray, items: np.ndarray) -> np.ndarray:
    """One integer a candidate, in the order of scores and, among equal ones, of falling row numbers."""
    # + 0 makes -0.0 a 0.0; then the bits of positive floats sort as the floats do, of negative ones the other
    # way round.
    bits = (scores.astype(np.float32, copy=False) + np.float32(0)).view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return bits.astype(np.uint64) << np.uint64(32) | LOW - items.astype(np.uint64)


def _best(keys: np.ndarray, k: int) -> Candidates:
    """Pick the largest ``k`` keys of each row; a key of 0 is no candidate."""
    width = keys.shape[1]
    if width > k:
        keys = np.partition(keys, width - k, axis=1)[:, width - k :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    bits = (keys >> np.uint64(32)).astype(np.uint32)
    scores = np.where(bits >> 31, bits & np.uint32((1 << 31) - 1), ~bits).view(np.float32)
    found = keys != 0
    return Candidates(
        np.where(found, (LOW - (keys & LOW)).astype(np.int64), PAD),
        np.where(found, scores, np.float32(-np.inf)),
    ).top(k)
