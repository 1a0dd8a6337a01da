"""Numba kernels of the co-occurrence tables; `recsys.recall.cooccurrence` says what they are for."""

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 64
"""Columns looked at together."""
NEARLY = np.float32(1 - 1e-5)
"""Leaves room for the rounding of a score."""


@njit(nogil=True, cache=True)
def group(keys, n):  # type: ignore[no-untyped-def]
    """Stable counting sort: offsets of the ``n`` groups and the positions in them."""
    offsets = np.zeros(n + 1, dtype=np.int64)
    for key in keys:
        offsets[key + 1] += 1
    for group in range(n):
        offsets[group + 1] += offsets[group]
    place = offsets[:-1].copy()
    positions = np.empty(len(keys), dtype=np.int32)
    for position in range(len(keys)):
        key = keys[position]
        positions[place[key]] = position
        place[key] += 1
    return offsets, positions


@njit(nogil=True, cache=True)
def distinct(offsets, order, items, n_items):  # type: ignore[no-untyped-def]
    """Drop all but the last of a group's repeated items."""
    owner = np.full(n_items, -1, dtype=np.int64)
    kept = np.empty_like(order)
    kept_offsets = np.empty_like(offsets)
    # Backwards, so that the newest of the repeats is met first.
    at = len(order)
    kept_offsets[-1] = at
    for group in range(len(offsets) - 2, -1, -1):
        for position in range(offsets[group + 1] - 1, offsets[group] - 1, -1):
            item = items[order[position]]
            if owner[item] != group:
                owner[item] = group
                at -= 1
                kept[at] = order[position]
        kept_offsets[group] = at
    return kept_offsets - at, kept[at:].copy()


@njit(nogil=True, cache=True, inline="always")
def _worse(score, row, other_score, other_row):  # type: ignore[no-untyped-def]
    return score < other_score or (score == other_score and row > other_row)


@njit(nogil=True, cache=True)
def _sift_down(scores, rows, n):  # type: ignore[no-untyped-def]
    """Let the root of a heap of ``n``, worst first, sink to its place."""
    score, row, at = scores[0], rows[0], 0
    while True:
        child = 2 * at + 1
        if child >= n:
            break
        if child + 1 < n and _worse(scores[child + 1], rows[child + 1], scores[child], rows[child]):
            child += 1
        if not _worse(scores[child], rows[child], score, row):
            break
        scores[at], rows[at] = scores[child], rows[child]
        at = child
    scores[at], rows[at] = score, row


@njit(nogil=True, cache=True)
def _sort_heap(scores, rows):  # type: ignore[no-untyped-def]
    for n in range(len(scores) - 1, 0, -1):
        scores[0], scores[n] = scores[n], scores[0]
        rows[0], rows[n] = rows[n], rows[0]
        _sift_down(scores, rows, n)


@njit(nogil=True, cache=True)
def _offer(  # type: ignore[no-untyped-def]
    place, column, total, names, scale, shrinkage, labels, exact, same, other, best, scores
):
    """Take a column into the row's heap if it is better than the worst there."""
    if total == 0 or column == place:
        return
    score = total / (scale[place] * scale[column] + shrinkage)
    if len(labels):
        mine, theirs = labels[place], labels[column]
        alike = (mine == theirs and mine >= 0) if exact else (mine & theirs) != 0
        score *= same if alike else other
    # Empty places of the heap hold 0, so a score of 0 never enters.
    if score > 0 and _worse(scores[0], best[0], score, names[column]):
        scores[0], best[0] = score, names[column]
        _sift_down(scores, best, len(scores))


@njit(nogil=True, cache=True)
def _keep_best(  # type: ignore[no-untyped-def]
    place, total, touched, n_touched, names, scale, shrinkage, labels, exact, same, other, best, scores
):
    """Move a row's sums to its ``k`` best, and leave the sums zero; ``n_touched`` < 0 scans them all."""
    if n_touched >= 0:
        for each in range(n_touched):
            column = touched[each]
            _offer(
                place,
                column,
                total[column],
                names,
                scale,
                shrinkage,
                labels,
                exact,
                same,
                other,
                best,
                scores,
            )
            total[column] = 0
    else:
        most = max(same, other) if len(labels) else np.float32(1)
        for start in range(0, len(total), BLOCK):
            end = min(start + BLOCK, len(total))
            # Without a branch or a division, so compiled to vector instructions: does any of the block
            # come near the heap's worst?
            least = scores[0] / most * NEARLY
            near = 0
            for column in range(start, end):
                near += total[column] > least * (scale[place] * scale[column] + shrinkage)
            if near:
                for column in range(start, end):
                    _offer(
                        place, column, total[column], names,
                        scale, shrinkage, labels, exact, same, other, best, scores,
                    )  # fmt: skip
        total[:] = 0
    _sort_heap(scores, best)


@njit(nogil=True, cache=True)
def middle_chunk(  # type: ignore[no-untyped-def]
    low, high, scanned, names, offsets, middles, weight, starts, ends, columns,
    scale, shrinkage, labels, exact, same, other, best, scores,
):  # fmt: skip
    """Rows at places ``[low, high)`` of a table in which a pair counts the weight of what lies between."""
    total = np.zeros(len(names), dtype=np.float32)
    touched = np.empty(len(names), dtype=np.int32)
    for place in range(low, high):
        row = names[place]
        n_touched = -1 if scanned[place] else 0
        for at in range(offsets[row], offsets[row + 1]):
            middle = middles[at]
            amount = weight[middle]
            if amount <= 0:
                continue
            if scanned[place]:
                for back in range(starts[middle], ends[middle]):
                    total[columns[back]] += amount
            else:
                for back in range(starts[middle], ends[middle]):
                    column = columns[back]
                    if total[column] == 0:
                        touched[n_touched] = column
                        n_touched += 1
                    total[column] += amount
        _keep_best(
            place, total, touched, n_touched, names,
            scale, shrinkage, labels, exact, same, other, best[row], scores[row],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def distance_chunk(  # type: ignore[no-untyped-def]
    low, high, scanned, names, offsets, positions, users, weight, starts, columns, ticks, by_time, by_step,
    backward, scale, shrinkage, labels, exact, same, other, best, scores,
):  # fmt: skip
    """Rows at places ``[low, high)`` of a table in which a pair counts by order and distance."""
    total = np.zeros(len(names), dtype=np.float32)
    touched = np.empty(len(names), dtype=np.int32)
    last_tick, last_step = len(by_time) - 1, len(by_step) - 1
    for place in range(low, high):
        row = names[place]
        n_touched = -1 if scanned[place] else 0
        for at in range(offsets[row], offsets[row + 1]):
            here = positions[at]
            user = users[here]
            now = ticks[here]
            forth, back = weight[user], weight[user] * backward
            first = starts[user] if back > 0 else here
            for there in range(first, starts[user + 1]):
                amount = back if there < here else forth
                amount *= by_time[min(abs(ticks[there] - now), last_tick)]
                amount *= by_step[min(abs(there - here), last_step)]
                column = columns[there]
                if n_touched >= 0 and total[column] == 0 and amount > 0:
                    touched[n_touched] = column
                    n_touched += 1
                total[column] += amount
        _keep_best(
            place, total, touched, n_touched, names,
            scale, shrinkage, labels, exact, same, other, best[row], scores[row],
        )  # fmt: skip
