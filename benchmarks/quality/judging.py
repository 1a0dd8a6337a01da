"""Figures of a test fold: all systems, and ours against the best peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.evaluate import Judge, means, relative
from recsys.metrics import coverage, hit_rate_at_k, hits_of, mrr_at_k, ndcg_at_k

METRICS = ("ndcg_at_10", "hit_rate_at_10", "mrr_at_10", "recall_at_10", "recall_at_100", "recall_at_300")
COMPARED = ("ndcg_at_10", "recall_at_100", "recall_at_300")
UNTIED = "order=untied"
K = 10
PerUser = Mapping[str, np.ndarray]
"""Metrics of users (n,), by name."""


@dataclass(frozen=True)
class System:
    """What somebody recommended to all users of a fold, ``items`` (n, k), and what it ``took``.

    ``sampled`` (n, 100) are sampled items in its order, where it was asked for that.
    """

    name: str
    ours: bool
    items: np.ndarray
    took: Mapping[str, float]
    sampled: np.ndarray | None = None


def judged(systems: Sequence[System], judge: Judge, seed: int) -> dict[str, Any]:
    """Of all users; of those whose last is untied; and, where it was asked for, by sampled negatives."""
    per_user = {each.name: judge.per_user(each.items) for each in systems}
    told = among(systems, judge, per_user, np.ones(len(judge), dtype=bool), seed)
    for each in systems:
        told["systems"][each.name] |= each.took
    if UNTIED in judge.slices:
        told["untied"] = among(systems, judge, per_user, judge.slices[UNTIED], seed)
    sampled = {each.name: by_sampled(each, judge, seed) for each in systems if each.sampled is not None}
    return told | ({"sampled": {"systems": sampled}} if sampled else {})


def among(
    systems: Sequence[System], judge: Judge, per_user: Mapping[str, PerUser], rows: np.ndarray, seed: int
) -> dict[str, Any]:
    """Figures of the users at ``rows`` (n,) bool."""
    told: dict[str, Any] = {}
    some = {name: {metric: each[rows] for metric, each in own.items()} for name, own in per_user.items()}
    for each in systems:
        covered = coverage(each.items[rows, :K], judge.n_items)
        metrics = with_intervals(some[each.name], seed) | {f"coverage_at_{K}": [covered]}
        told[each.name] = {"ours": each.ours, "metrics": metrics}
    against = {metric: against_best(systems, some, metric, seed) for metric in COMPARED}
    return {
        "users": int(rows.sum()),
        "systems": told,
        "against_best_peer": {metric: each for metric, each in against.items() if each},
    }


def against_best(
    systems: Sequence[System], per_user: Mapping[str, PerUser], metric: str, seed: int
) -> dict[str, Any]:
    """The peer that is best by ``metric`` on these very users, and how far ahead of it ours are.

    Nothing where no peer's lists are long enough for the metric.
    """
    able = [each for each in systems if metric in per_user[each.name]]
    peers = [each.name for each in able if not each.ours]
    if not peers:
        return {}
    best = max(peers, key=lambda name: np.nanmean(per_user[name][metric]))
    base, told = per_user[best][metric], {}
    for each in able:
        if each.ours:
            mine, known = per_user[each.name][metric], ~np.isnan(base)
            told[each.name] = {
                **with_intervals({"difference": mine - base}, seed, ["difference"]),
                "relative": list(relative(mine[known], base[known], seed)),
            }
    return {"best_peer": best, "ours": told}


def by_sampled(system: System, judge: Judge, seed: int) -> dict[str, Any]:
    """By NCF's protocol (He et al., WWW 2017): where the one positive stands among the sampled items."""
    hits = hits_of(system.sampled, judge.users, judge.relevant, judge.n_items)
    measures = {"ndcg": ndcg_at_k, "hit_rate": hit_rate_at_k, "mrr": mrr_at_k}
    per_user = {f"{name}_at_{K}": of(hits, judge.n_relevant, K) for name, of in measures.items()}
    return {"ours": system.ours, "metrics": with_intervals(per_user, seed)}


def with_intervals(per_user: PerUser, seed: int, metrics: Sequence[str] = METRICS) -> dict[str, list[float]]:
    """Value, low and high of those of ``metrics`` that are there."""
    names = [metric for metric in metrics if metric in per_user]
    rows = means([per_user[metric] for metric in names], seed)
    return dict(zip(names, rows[["value", "low", "high"]].to_numpy().tolist(), strict=True))
