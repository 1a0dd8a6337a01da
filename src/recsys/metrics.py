"""Ranking metrics: pure numpy, one number a user.

All take ``hits`` (n_users, k) bool, whether the item at each place is relevant (see `hits_of`), and
``n_relevant`` (n_users,). Users with nothing relevant score NaN: the caller says how to average.
"""

from __future__ import annotations

import numpy as np

from recsys.types import PAD


def hits_of(items: np.ndarray, users: np.ndarray, relevant: np.ndarray, n_items: int) -> np.ndarray:
    """Which of ``items`` (n, k) are relevant to their row's user.

    ``relevant`` holds sorted keys ``user * n_items + item``.
    """
    keys = users[:, None] * n_items + items
    if not len(relevant):
        return np.zeros(items.shape, dtype=bool)
    place = np.minimum(np.searchsorted(relevant, keys), len(relevant) - 1)
    return np.asarray((relevant[place] == keys) & (items != PAD))


def _per_relevant(total: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    unknown = np.full(len(total), np.nan)
    return np.asarray(np.divide(total, n_relevant, out=unknown, where=n_relevant > 0))


def recall_at_k(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Share of the relevant items that stand among the first ``k``."""
    return _per_relevant(hits[:, :k].sum(axis=1), n_relevant)


def hit_rate_at_k(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """1 where any relevant item stands among the first ``k``."""
    return np.where(n_relevant > 0, hits[:, :k].any(axis=1), np.nan)


def ndcg_at_k(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k with binary gain and a log2 discount (Järvelin & Kekäläinen, TOIS 2002)."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0], discount.cumsum()])[np.minimum(n_relevant, k)]
    hits = hits[:, :k]
    return _per_relevant(hits @ discount[: hits.shape[1]], ideal)


def mrr_at_k(hits: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Reciprocal rank of the first relevant item, 0 beyond ``k``."""
    hits = hits[:, :k]
    first = np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0)
    return np.where(n_relevant > 0, first, np.nan)


def coverage(items: np.ndarray, n_items: int) -> float:
    """Share of the catalogue that stands in anyone's list."""
    return float(len(np.unique(items[items != PAD])) / n_items)


def novelty(items: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """Mean self-information in bits of a list's items (Zhou et al., PNAS 2010).

    ``popularity`` (n_items,) is each item's interactions; an item without any counts as one.
    """
    share = np.maximum(popularity, 1) / max(popularity.sum(), 1)
    return _mean_over_list(-np.log2(share)[items], items)


def intra_list_diversity(items: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """1 - mean pairwise cosine of a list's category vectors; ``categories`` is (n_items, d)."""
    norms = np.linalg.norm(categories, axis=1, keepdims=True)
    unit = np.divide(categories, norms, out=np.zeros_like(categories, dtype=np.float64), where=norms > 0)
    vectors = unit[items] * (items != PAD)[:, :, None]
    n = (items != PAD).sum(axis=1)
    pairs = np.square(vectors.sum(axis=1)).sum(axis=1) - np.square(vectors).sum(axis=(1, 2))
    return 1 - _per_relevant(pairs, n * (n - 1))


def share_of(items: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Share of each list's items that are ``marked`` (n_items,) bool: fresh ones, say."""
    return _mean_over_list(marked[items].astype(np.float64), items)


def _mean_over_list(values: np.ndarray, items: np.ndarray) -> np.ndarray:
    inside = items != PAD
    return _per_relevant((values * inside).sum(axis=1), inside.sum(axis=1))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that a positive outscores a negative, ties half; NaN with one class only."""
    n_positive = int(labels.sum())
    n_negative = len(labels) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[labels > 0].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def gauc(scores: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> float:
    """AUC within each group (user), weighted by its examples; one-class groups do not count.

    Zhou et al., KDD 2018.
    """
    order = np.argsort(groups, kind="stable")
    cuts = np.flatnonzero(np.diff(groups[order])) + 1
    total = weight = 0.0
    for rows in np.split(order, cuts):
        value = auc(scores[rows], labels[rows])
        if not np.isnan(value):
            total += value * len(rows)
            weight += len(rows)
    return total / weight if weight else float("nan")


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean binary cross-entropy in nats."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)))


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 20) -> float:
    """Expected calibration error over ``bins`` of equal counts."""
    order = np.argsort(probabilities, kind="stable")
    gaps = [
        abs(probabilities[part].mean() - labels[part].mean()) * len(part)
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(labels))


def bootstrap(values: np.ndarray, seed: int, draws: int = 1000, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean over users (Efron 1979); NaN rows are left out.

    Of a difference it is the paired interval.
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
