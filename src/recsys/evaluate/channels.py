"""What each recall channel adds to the others, and lists judged at several lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from recsys.columns import CHANNEL, SYSTEM
from recsys.evaluate.intervals import divide, means
from recsys.evaluate.judge import Judge
from recsys.metrics import recall_at_k
from recsys.types import PAD, Candidates


def recall_curve(
    systems: Mapping[str, np.ndarray], judge: Judge, ks: Sequence[int], seed: int
) -> pd.DataFrame:
    """recall_at_k at each of ``ks``: system, k, value, low, high, n."""
    labels, values = [], []
    for system, items in systems.items():
        hits = judge.hits(items)
        labels += [(system, k) for k in ks]
        values += [recall_at_k(hits, judge.n_relevant, k) for k in ks]
    return pd.concat([pd.DataFrame(labels, columns=[SYSTEM, "k"]), means(values, seed)], axis=1)


def only_found_by(found: Mapping[str, Candidates], judge: Judge, k: int) -> pd.DataFrame:
    """Shares of all relevant items: ``found`` among a channel's first ``k``, and ``only`` among its."""
    keys = {}
    for channel, candidates in found.items():
        items = candidates.items[:, :k]
        keys[channel] = (judge.users[:, None] * judge.n_items + items)[judge.hits(items)]
    every, times = np.unique(np.concatenate(list(keys.values())), return_counts=True)
    once, n = every[times == 1], judge.n_relevant.sum()
    rows = [(channel, len(mine) / n, np.isin(mine, once).sum() / n) for channel, mine in keys.items()]
    return pd.DataFrame(rows, columns=[CHANNEL, "found", "only"])


def overlap(found: Mapping[str, Candidates], k: int) -> pd.DataFrame:
    """Mean share of the row's channel's first ``k`` that the column's channel has among its first ``k`` too.

    Users for whom the row's channel found nothing do not count.
    """
    keys = {}
    for channel, candidates in found.items():
        items = candidates.items[:, :k].astype(np.int64)
        rows = np.arange(len(items))[:, None]
        keys[channel] = np.where(items != PAD, rows + items * len(items), PAD)
    shares = [[_shared(mine, others) for others in keys.values()] for mine in keys.values()]
    return pd.DataFrame(shares, index=pd.Index(list(found), name=CHANNEL), columns=list(found))


def left_out(
    found: Mapping[str, Candidates],
    judge: Judge,
    k: int,
    merge: Callable[[Mapping[str, Candidates]], np.ndarray],
    seed: int,
) -> pd.DataFrame:
    """What recall_at_k of the merged list gains without each channel: channel, value, low, high, n.

    ``merge`` makes channels' candidates one list of items (n, k or more). A negative value: the channel is
    missed. ValueError with fewer than two channels.
    """
    if len(found) < 2:
        raise ValueError("without its only channel nothing is left to merge")

    def recall(channels: Mapping[str, Candidates]) -> np.ndarray:
        return recall_at_k(judge.hits(merge(channels)), judge.n_relevant, k)

    whole = recall(found)
    without = [recall({name: c for name, c in found.items() if name != out}) - whole for out in found]
    return pd.concat([pd.DataFrame({CHANNEL: list(found)}), means(without, seed)], axis=1)


def _shared(mine: np.ndarray, others: np.ndarray) -> float:
    inside = mine != PAD
    shares = divide((np.isin(mine, others) & inside).sum(axis=1).astype(np.float64), inside.sum(axis=1))
    return float(np.nanmean(shares)) if inside.any() else float("nan")
