"""Many channels' candidates become one list a user; each channel's rank and score stay with a candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import local
from typing import Literal

import numpy as np
from numba import njit

from recsys.recall.seen import key, take_best
from recsys.types import PAD, Candidates, MergedCandidates

Method = Literal["learned", "reciprocal_rank", "snake"]
Gains = Mapping[str, Sequence[float]]
"""What a place in a channel's list is worth: at the ranks `KNOTS`, along their logarithm between."""
KNOTS = 2 ** np.arange(11)
"""Ranks from 1; beyond the last a gain stays as it is there."""
SMOOTHING = 60
"""Of reciprocal ranks, as Cormack et al. found it best."""
LEAST = 0.01
"""Weight of reciprocal ranks beside gains: they only order what gains do not, and in float32 still do."""


def merge(
    found: Mapping[str, Candidates], k: int, method: Method = "reciprocal_rank", gains: Gains | None = None
) -> MergedCandidates:
    """Merge by rank, for scores of channels are not comparable.

    An item's score is the sum of what its place in each channel's list is worth: by ``reciprocal_rank``
    ``1 / (60 + rank)`` (Cormack et al., SIGIR 2009), by ``learned`` the channel's ``gains``; what only
    channels without gains found comes last, by its reciprocal ranks. ``snake`` takes each channel's first,
    then each one's second, and so on, in their order. A channel's quota is how many candidates it was asked
    for. Ties go to the lower row number.
    """
    channels = tuple(found)
    merged = MergedCandidates.none(channels, len(next(iter(found.values()))), k)
    width = max(each.items.shape[1] for each in found.values())
    lists = [each.top(width) for each in found.values()]
    items, scores = np.stack([each.items for each in lists]), np.stack([each.scores for each in lists])
    total, place = _scratch.of(int(items.max(initial=0)) + 1)
    _merge(
        items, scores, _worth(channels, width, method, gains or {}), method == "snake", total, place,
        merged.items, merged.scores, merged.ranks, merged.channel_scores,
    )  # fmt: skip
    return merged


class _Scratch(local):
    """What `_merge` counts in, an entry an item, each thread's own.

    To make it anew takes longer than to merge where there are many items.
    """

    total, place = np.zeros(0), np.full(0, PAD)

    def of(self, n_items: int) -> tuple[np.ndarray, np.ndarray]:
        if len(self.total) < n_items:
            self.total, self.place = np.zeros(n_items), np.full(n_items, PAD)
        return self.total, self.place


_scratch = _Scratch()


def _worth(channels: Sequence[str], width: int, method: Method, gains: Gains) -> np.ndarray:
    """What each place is worth, (channels, width) float64."""
    ranks = np.arange(1, width + 1)
    if method == "snake":
        return -(len(channels) * ranks + np.arange(len(channels))[:, None]).astype(np.float64)
    reciprocal = np.tile(1 / (SMOOTHING + ranks), (len(channels), 1))
    if method == "reciprocal_rank":
        return reciprocal
    none, knots = np.zeros(len(KNOTS)), np.log(KNOTS)
    learned = [np.interp(np.log(ranks), knots, gains.get(name, none)) for name in channels]
    return np.array(learned) + LEAST * reciprocal


@njit(nogil=True, cache=True)
def _merge(items, scores, worth, snake, total, place, best, best_scores, ranks, channel_scores):  # type: ignore[no-untyped-def]
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
                    total[item] += worth[channel, rank]
                elif new or total[item] < worth[channel, rank]:
                    total[item] = worth[channel, rank]
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
