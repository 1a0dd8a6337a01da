"""Many channels' candidates become one list a user; each channel's rank and score stay with a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

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
    weight = np.array([(weights or {}).get(name, 1.0) for name in channels])
    n = len(next(iter(found.values())))
    rows, items, ranks, scores, channel = _long(list(found.values()))

    n_keys = int(items.max(initial=0)) + 1
    keys, inverse = np.unique(rows * n_keys + items, return_inverse=True)
    if method == "reciprocal_rank":
        total = np.bincount(inverse, weight[channel] / (smoothing + 1 + ranks), minlength=len(keys))
    else:
        turn = np.empty(len(channels))
        turn[np.argsort(-weight, kind="stable")] = np.arange(len(channels))
        first = np.full(len(keys), np.inf)
        np.minimum.at(first, inverse, ranks * len(channels) + turn[channel])
        total = -first

    key_rows, key_items = keys // n_keys, keys % n_keys
    order = np.lexsort((key_items, -total, key_rows))
    starts = np.searchsorted(key_rows[order], np.arange(n))
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys)) - starts[key_rows[order]]

    merged = MergedCandidates.none(channels, n, k)
    kept = place < k
    merged.items[key_rows[kept], place[kept]] = key_items[kept]
    merged.scores[key_rows[kept], place[kept]] = total[kept]
    column = place[inverse]
    kept = column < k
    at = rows[kept], column[kept], channel[kept]
    merged.ranks[at] = ranks[kept]
    merged.channel_scores[at] = scores[kept]
    return merged


def _long(found: list[Candidates]) -> tuple[np.ndarray, ...]:
    """All candidates one below another: row, item, rank, score, channel."""
    parts = []
    for number, candidates in enumerate(found):
        rows, ranks = np.nonzero(candidates.items != PAD)
        items, scores = candidates.items[rows, ranks], candidates.scores[rows, ranks]
        parts.append((rows, items, ranks, scores, np.full(len(rows), number)))
    rows, items, ranks, scores, channel = (np.concatenate(column) for column in zip(*parts, strict=True))
    return rows, items, ranks, scores, channel
