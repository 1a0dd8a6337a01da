"""Many channels' candidates become one list a user; each channel's rank and score stay with a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numba import njit

from recsys.recall.seen import key, take_best
from recsys.types import PAD, Candidates, MergedCandidates

Method = Literal["reciprocal_rank", "snake"]


def merge(
    found: Mapping[str, Candidates],
    k: int,
    *,
    weights: Mapping[str, float] | None = None,
    method: Method = "reciprocal_rank",
    smoothing: float = 60,
) -> MergedCandidates:
    """Merge by rank, for scores of channels are not comparable.

    ``reciprocal_rank`` sums ``weight / (smoothing + rank)`` over the channels that found an item
    (Cormack et al., SIGIR 2009); ``snake`` takes each channel's first, then each one's second, and
    so on, in the order of weights. A channel's quota is how many candidates it was asked for.
    Ties go to the lower row number.
    """
    channels = tuple(found)
    n = len(next(iter(found.values())))
    merged = MergedCandidates.none(channels, n, k)
    weight = np.array([(weights or {}).get(name, 1.0) for name in channels], dtype=np.float64)
    turn = np.empty(len(channels))
    turn[np.argsort(-weight, kind="stable")] = np.arange(len(channels))
    width = max(each.items.shape[1] for each in found.values())
    lists = [each.top(width) for each in found.values()]
    items, scores = np.stack([each.items for each in lists]), np.stack([each.scores for each in lists])
    total = np.zeros(int(items.max(initial=0)) + 1)
    place = np.full(len(total), PAD)
    _merge(
        items, scores, weight, turn, smoothing, method == "snake", total, place,
        merged.items, merged.scores, merged.ranks, merged.channel_scores,
    )  # fmt: skip
    return merged


@njit(nogil=True, cache=True)
def _merge(  # type: ignore[no-untyped-def]
    items, scores, weight, turn, smoothing, snake, total, place,
    best, best_scores, ranks, channel_scores,
):  # fmt: skip
    """Row by row; ``total`` and ``place``, an entry an item, are left as they came: 0 and PAD."""
    n_channels, n, width = items.shape
    k = best.shape[1]
    keys = np.empty(n_channels * width, dtype=np.uint64)
    touched = np.empty(n_channels * width, dtype=np.uint64)
    for row in range(n):
        found = 0
        for channel in range(n_channels):
            for rank in range(width):
                if items[channel, row, rank] == PAD:
                    break
                item = np.uint64(items[channel, row, rank])
                new = place[item] == PAD
                if new:
                    place[item], touched[found] = k, item
                    found += 1
                if not snake:
                    total[item] += weight[channel] / (smoothing + 1 + rank)
                elif new or -total[item] > rank * n_channels + turn[channel]:
                    total[item] = -(rank * n_channels + turn[channel])
        for at in range(found):
            keys[at] = key(total[touched[at]], touched[at])
        take_best(keys, found, best[row], best_scores[row])
        for at in range(min(found, k)):
            place[np.uint64(best[row, at])] = at
        for channel in range(n_channels):
            for rank in range(width):
                if items[channel, row, rank] == PAD:
                    break
                its = np.uint64(place[np.uint64(items[channel, row, rank])])
                if its < k:
                    ranks[row, its, channel] = rank
                    channel_scores[row, its, channel] = scores[channel, row, rank]
        for at in range(found):
            total[touched[at]], place[touched[at]] = 0, PAD
