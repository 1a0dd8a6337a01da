"""What every channel ends with: drop what was seen, keep the best, equal scores by item row number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from scipy import sparse

from recsys.types import PAD, Candidates, Histories, Requests

BLOCK = 2048
"""Requests answered at once, where that takes memory."""
LOW, SIGN = 0xFFFF_FFFF, np.uint32(1 << 31)
"""The lower half of a key; the sign of a float32."""
BINS = 1 << 10
"""Parts of the range of keys, counted to find where the best begin."""
MANY = 4
"""Times as many keys as are wanted: what is worth sorting to find them."""


def in_blocks(requests: Requests, k: int, answer: Callable[[Requests], Candidates]) -> Candidates:
    """``answer``, at least ``k`` wide each, for `BLOCK` requests at a time."""
    if 0 < len(requests) <= BLOCK:
        return answer(requests)
    blocks = [answer(requests[start : start + BLOCK]) for start in range(0, len(requests), BLOCK)]
    if not blocks:
        return Candidates.none(0, k)
    return Candidates(
        np.concatenate([block.items for block in blocks]), np.concatenate([block.scores for block in blocks])
    )


def best_unseen(scores: np.ndarray, history: Histories, k: int) -> Candidates:
    """Pick the ``k`` best of all items by ``scores`` (n, n_items) float32, which it writes over.

    An item scored -inf is no candidate.
    """
    found = Candidates.none(len(scores), k)
    _pick(scores, history.items, history.starts, history.ends, found.items, found.scores)
    return found


def best_unseen_products(
    queries: np.ndarray, vectors: np.ndarray, unmet: np.ndarray, history: Histories, k: int
) -> Candidates:
    """Pick the ``k`` best by the product of ``queries`` (n, d) and items' ``vectors`` (n_items, d), float32.

    The ``unmet`` (m,) are no candidates; a query of zeros finds nothing.
    """
    found = Candidates.none(len(queries), k)
    met = history.items, history.starts, history.ends
    _pick_products(queries, vectors, unmet, *met, found.items, found.scores)
    return found


def best_unseen_of(
    items: np.ndarray, scores: np.ndarray, offsets: np.ndarray, n_items: int, history: Histories, k: int
) -> Candidates:
    """Pick the ``k`` best of some items: row i has those at ``[offsets[i], offsets[i + 1])``, none twice."""
    found = Candidates.none(len(offsets) - 1, k)
    met = history.items, history.starts, history.ends
    _pick_of(items, scores, offsets, n_items, *met, found.items, found.scores)
    return found


def best_unseen_sums(
    ids: np.ndarray, weights: np.ndarray, table: sparse.csr_matrix, history: Histories, k: int
) -> Candidates:
    """Pick the ``k`` best by the sum of some rows of ``table`` (m, n_items) float32, each times its weight.

    ``ids`` (n, j) are row numbers, PAD for none; ``weights`` (n, j) float32. An item that no row names, and
    what a weight of 0 names, is no candidate.
    """
    found = Candidates.none(len(ids), k)
    met = history.items, history.starts, history.ends
    sums = np.zeros(table.shape[1], dtype=np.float32)
    _pick_sums(ids, weights, table.indptr, table.indices, table.data, sums, *met, found.items, found.scores)
    return found


def first_unseen(
    items: np.ndarray, scores: np.ndarray, n_items: int, history: Histories, k: int
) -> Candidates:
    """Take the first ``k`` of one list for all, ``items`` with their ``scores``."""
    found = Candidates.none(len(history), k)
    met = history.items, history.starts, history.ends
    _first(items, scores, n_items, *met, found.items, found.scores)
    return found


@njit(nogil=True, cache=True)
def _pick(scores, seen, starts, ends, best, best_scores):  # type: ignore[no-untyped-def]
    keys = np.empty(scores.shape[1], dtype=np.uint64)
    for row in range(len(scores)):
        _pick_row(scores[row], seen[starts[row] : ends[row]], keys, best[row], best_scores[row])


@njit(nogil=True, cache=True)
def _pick_row(scores, seen, keys, best, best_scores):  # type: ignore[no-untyped-def]
    for item in seen:
        scores[np.uint64(item)] = -np.inf
    found = 0
    for item in range(len(scores)):
        if scores[item] > -np.inf:
            keys[found] = key(scores[item], item)
            found += 1
    take_best(keys, found, best, best_scores)


@njit(nogil=True, cache=True)
def _pick_products(queries, vectors, unmet, seen, starts, ends, best, best_scores):  # type: ignore[no-untyped-def]
    """Query by query: what BLAS adds up depends on how many there are."""
    scores = np.empty(len(vectors), dtype=np.float32)
    keys = np.empty(len(vectors), dtype=np.uint64)
    for row in range(len(queries)):
        if queries[row].any():
            np.dot(vectors, queries[row], scores)
            scores[unmet] = -np.inf
            _pick_row(scores, seen[starts[row] : ends[row]], keys, best[row], best_scores[row])


@njit(nogil=True, cache=True)
def _pick_of(items, scores, offsets, n_items, seen, starts, ends, best, best_scores):  # type: ignore[no-untyped-def]
    keys = np.empty(len(items), dtype=np.uint64)
    marked = np.zeros(n_items, dtype=np.bool_)
    for row in range(len(best)):
        for at in range(starts[row], ends[row]):
            marked[seen[at]] = True
        found = 0
        for at in range(offsets[row], offsets[row + 1]):
            if not marked[items[at]]:
                keys[found] = key(scores[at], items[at])
                found += 1
        take_best(keys, found, best[row], best_scores[row])
        for at in range(starts[row], ends[row]):
            marked[seen[at]] = False


@njit(nogil=True, cache=True)
def _pick_sums(  # type: ignore[no-untyped-def]
    ids, weights, offsets, items, values, sums, seen, starts, ends, best, best_scores
):
    touched = np.empty(len(sums) + 1, dtype=np.uint32)
    keys = np.empty(len(sums), dtype=np.uint64)
    for row in range(len(ids)):
        n = _sum_up(ids[row], weights[row], offsets, items, values, sums, touched)
        for at in range(starts[row], ends[row]):
            sums[seen[at]] = 0
        found = 0
        for at in range(n):
            item = touched[at]
            if sums[item] != 0:
                keys[found] = key(sums[item], item)
                found += 1
                sums[item] = 0
        take_best(keys, found, best[row], best_scores[row])


@njit(nogil=True, cache=True)
def _sum_up(ids, weights, offsets, items, values, sums, touched):  # type: ignore[no-untyped-def]
    """Add the rows ``ids`` to ``sums``; how many entries that are not 0 it left at the front of ``touched``.

    Looks at all sums at the end, unless there are more of them than additions.
    """
    n_additions = 0
    for each in ids:
        if each != PAD:
            n_additions += offsets[each + 1] - offsets[each]
    listed = n_additions < len(sums)
    n = 0
    for place in range(len(ids)):
        each, weight = ids[place], weights[place]
        if each == PAD or weight == 0:
            continue
        start, end = offsets[each], offsets[each + 1]
        named, amounts = items[start:end], values[start:end]
        for at in range(len(named)):
            item, amount = np.uint32(named[at]), weight * amounts[at]  # of signed numbers the sign is asked
            if listed:
                touched[n] = item
                n += sums[item] == 0 and amount != 0
            sums[item] += amount
    if not listed:
        for at in range(len(sums)):
            touched[n] = at
            n += sums[at] != 0
    return n


@njit(nogil=True, cache=True)
def _first(items, scores, n_items, seen, starts, ends, best, best_scores):  # type: ignore[no-untyped-def]
    marked = np.zeros(n_items, dtype=np.bool_)
    for row in range(len(best)):
        for at in range(starts[row], ends[row]):
            marked[seen[at]] = True
        found = 0
        for place in range(len(items)):
            if found == best.shape[1]:
                break
            if not marked[items[place]]:
                best[row, found], best_scores[row, found] = items[place], scores[place]
                found += 1
        for at in range(starts[row], ends[row]):
            marked[seen[at]] = False


@njit(nogil=True, cache=True)
def key(score, item):  # type: ignore[no-untyped-def]
    """One integer a candidate, in the order of scores and, among equal ones, of falling row numbers."""
    bits = np.float32(score + np.float32(0)).view(np.uint32)  # + 0 makes -0.0 a 0.0
    # The bits of positive floats sort as the floats do, of negative ones the other way round.
    upper = ~bits if bits & SIGN else bits | SIGN
    return np.uint64(upper) << np.uint64(32) | np.uint64(LOW) - np.uint64(item)


@njit(nogil=True, cache=True)
def take_best(keys, n, best, scores):  # type: ignore[no-untyped-def]
    """Write the items and scores of the largest of the first ``n`` keys, which it moves, largest first."""
    k = min(n, len(best))
    before = n + 1
    while k < n < before:  # finer parts each time, until nearly all are wanted or no part is smaller
        before, n = n, _with_largest(keys, n, k)
    if n > MANY * k:
        keys[:k] = np.partition(keys[:n], n - k)[n - k :]
        n = k
    keys[:n].sort()
    for rank in range(k):
        each = keys[n - 1 - rank]
        upper = np.uint32(each >> np.uint64(32))
        bits = upper ^ SIGN if upper & SIGN else ~upper
        best[rank], scores[rank] = LOW - np.int64(each & np.uint64(LOW)), np.uint32(bits).view(np.float32)


@njit(nogil=True, cache=True)
def _with_largest(keys, n, k):  # type: ignore[no-untyped-def]
    """Move the ``k`` largest of the first ``n`` keys to the front, with few others; how many there are."""
    low = high = keys[0]
    for at in range(n):
        low, high = min(low, keys[at]), max(high, keys[at])
    shift = np.uint64(0)
    while (high - low) >> shift >= np.uint64(BINS):
        shift += np.uint64(1)
    counts = np.zeros(BINS, dtype=np.int64)
    for at in range(n):
        counts[(keys[at] - low) >> shift] += 1
    part, above = BINS - 1, counts[BINS - 1]
    while above < k:
        part -= 1
        above += counts[part]
    least, kept = low + (np.uint64(part) << shift), 0
    for at in range(n):
        each = keys[at]
        keys[kept] = each
        kept += each >= least
    return kept
