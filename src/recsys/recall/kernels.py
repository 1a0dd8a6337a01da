"""Numba kernels of the co-occurrence tables; `recsys.recall.cooccurrence` says what they are for."""

from __future__ import annotations

import numpy as np
from numba import njit

BLOCK = 32
"""Columns looked at together: slices of one length, so compiled to vector instructions."""
NEARLY = np.float32(1 - 1e-5)
"""Leaves room for the rounding of a score."""
LOW = 0xFFFF_FFFF
"""The lower half of a key."""


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


@njit(nogil=True, cache=True)
def _largest(keys, n, k):  # type: ignore[no-untyped-def]
    """Move the ``k`` largest of the first ``n`` keys to the front; how many there are."""
    if n > k:
        keys[:k] = np.partition(keys[:n], n - k)[n - k :]
    return min(n, k)


@njit(nogil=True, cache=True)
def _keep_best(  # type: ignore[no-untyped-def]
    place, total, touched, n_touched, names, scale, shrinkage, labels, exact, same, other, best, scores
):
    """Move a row's sums to its ``k`` best, and leave the sums zero; ``n_touched`` < 0 looks at them all.

    Of a block of columns one by one only if any comes near the worst that is kept.

    A key is a score's bits, which sort as positive scores do, above the row number, turned round. Keys
    gather in a buffer, which is cut to the ``k`` largest whenever it is full.
    """
    k, n, least = len(best), 0, np.float32(0)
    keys = np.empty(4 * k, dtype=np.uint64)
    bits = np.empty(1, dtype=np.uint32)
    score_of_bits = bits.view(np.float32)
    most = max(same, other) if len(labels) else np.float32(1)
    listed = n_touched >= 0
    for start in range(0, n_touched if listed else len(total), BLOCK):
        bound = least / most * NEARLY
        if listed:
            end = min(start + BLOCK, n_touched)
        else:
            sums, scales = total[start : start + BLOCK], scale[start : start + BLOCK]
            near = np.int32(0)
            for column in range(BLOCK):
                near += np.int32(sums[column] > bound * (scale[place] * scales[column] + shrinkage))
            end = start + BLOCK if near else start
        for each in range(start, end):
            column = touched[each] if listed else each
            divisor = scale[place] * scale[column] + shrinkage
            if column == place or total[column] <= bound * divisor:
                continue
            score = total[column] / divisor
            if len(labels):
                mine, theirs = labels[place], labels[column]
                alike = (mine == theirs and mine >= 0) if exact else (mine & theirs) != 0
                score *= same if alike else other
            if score > 0 and score >= least:
                score_of_bits[0] = score
                keys[n] = np.uint64(bits[0]) << np.uint64(32) | np.uint64(LOW - names[column])
                n += 1
                if n == len(keys):
                    n = _largest(keys, n, k)
                    bits[0] = keys[:k].min() >> np.uint64(32)
                    least = score_of_bits[0]
    if listed:
        for each in range(n_touched):
            total[touched[each]] = 0
    else:
        total[:] = 0
    n = _largest(keys, n, k)
    keys[:n].sort()
    for rank in range(n):
        key = keys[n - 1 - rank]
        bits[0] = key >> np.uint64(32)
        best[rank], scores[rank] = LOW - np.int64(key & np.uint64(LOW)), score_of_bits[0]


@njit(nogil=True, cache=True)
def middle_chunk(  # type: ignore[no-untyped-def]
    low, high, asked, into, scanned, names, offsets, middles, weight, starts, ends, columns,
    scale, shrinkage, labels, exact, same, other, best, scores,
):  # fmt: skip
    """Rows at places ``asked[low:high]`` of a table in which a pair counts the weight of what is between."""
    total = np.zeros(len(scale), dtype=np.float32)
    touched = np.empty(len(names), dtype=np.uint32)
    for turn in range(low, high):
        place = asked[turn]
        row = names[place]
        n_touched = -1 if scanned[place] else 0
        for at in range(offsets[row], offsets[row + 1]):
            middle = middles[at]
            amount = weight[middle]
            if amount <= 0:
                continue
            if scanned[place]:
                for column in columns[starts[middle] : ends[middle]]:
                    total[column] += amount
            else:
                for column in columns[starts[middle] : ends[middle]]:
                    if total[column] == 0:
                        touched[n_touched] = column
                        n_touched += 1
                    total[column] += amount
        _keep_best(
            place, total, touched, n_touched, names,
            scale, shrinkage, labels, exact, same, other, best[into[turn]], scores[into[turn]],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def distance_chunk(  # type: ignore[no-untyped-def]
    low, high, asked, into, scanned, names, offsets, positions, users, weight, starts, columns,
    ticks, by_time, by_step, backward, scale, shrinkage, labels, exact, same, other, best, scores,
):  # fmt: skip
    """Rows at the places ``asked[low:high]`` of a table in which a pair counts by order and distance."""
    total = np.zeros(len(scale), dtype=np.float32)
    touched = np.empty(len(names), dtype=np.uint32)
    last_tick, last_step = len(by_time) - 1, len(by_step) - 1
    for turn in range(low, high):
        place = asked[turn]
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
            scale, shrinkage, labels, exact, same, other, best[into[turn]], scores[into[turn]],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def pair_chunk(  # type: ignore[no-untyped-def]
    low, high, asked, into, scanned, names, offsets, users, weight, starts, columns, smoothing,
    scale, shrinkage, labels, exact, same, other, best, scores,
):  # fmt: skip
    """Rows at places ``asked[low:high]`` of a table in which pairs of users count, by what else both met."""
    total = np.zeros(len(scale), dtype=np.float32)
    touched = np.empty(len(names), dtype=np.uint32)
    marked = np.zeros(len(names), dtype=np.bool_)
    common = np.empty(len(names) + 1, dtype=np.uint32)
    for turn in range(low, high):
        place = asked[turn]
        row = names[place]
        n_touched = -1 if scanned[place] else 0
        members = users[offsets[row] : offsets[row + 1]]
        for at in range(len(members)):
            one = members[at]
            met = columns[starts[one] : starts[one + 1]]
            for column in met:
                marked[column] = True
            for each in members[at + 1 :]:
                n = 0
                for column in columns[starts[each] : starts[each + 1]]:
                    common[n] = column
                    n += marked[column]
                amount = weight[one] * weight[each] / (smoothing + np.float32(n))
                for column in common[:n]:
                    if n_touched >= 0 and total[column] == 0 and amount > 0:
                        touched[n_touched] = column
                        n_touched += 1
                    total[column] += amount
            for column in met:
                marked[column] = False
        _keep_best(
            place, total, touched, n_touched, names,
            scale, shrinkage, labels, exact, same, other, best[into[turn]], scores[into[turn]],
        )  # fmt: skip
