"""Figures of a test fold: of each system by itself, and of ours against the best peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.evaluate import Judge, means, relative
from recsys.metrics import coverage, hit_rate_at_k, hits_of, mrr_at_k, ndcg_at_k

METRICS = ("ndcg_at_10", "hit_rate_at_10", "mrr_at_10", "recall_at_10", "recall_at_100", "recall_at_300")
COMPARED = ("ndcg_at_10", "recall_at_100", "recall_at_300")
UNTIED = "untied"
SAMPLED = "sampled"
K = 10
PerUser = Mapping[str, np.ndarray]
"""Metrics of users (n,), by name."""


@dataclass(frozen=True)
class System:
    """What somebody recommended to all users of a fold, ``items`` (n, k), and what it ``took``.

    ``sampled`` (n, 100) are sampled items in its order, where it was asked for that. ``of`` tells what
    decided the lists.
    """

    name: str
    ours: bool
    of: str
    items: np.ndarray
    took: Mapping[str, float]
    sampled: np.ndarray | None = None


@dataclass(frozen=True)
class Verdict:
    """``figures`` of a system by itself, and of the ``parts`` `UNTIED` and `SAMPLED`, where it has them.

    Those of `COMPARED` that its lists are long enough for are kept of each user, (n,) float32, for pairs.
    """

    ours: bool
    figures: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Any]]
    per_user: PerUser


def judged(system: System, judge: Judge, seed: int) -> Verdict:
    """Of all users; of those whose last is untied; and, where it was asked for, by sampled negatives."""
    per_user, whose = judge.per_user(system.items), {"ours": system.ours}
    covered = {f"coverage_at_{K}": [coverage(system.items[:, :K], judge.n_items)]}
    figures = {"metrics": with_intervals(per_user, seed) | covered, "of": system.of, **system.took}
    parts = {}
    if (rows := untied(judge)) is not None:
        some = {metric: values[rows] for metric, values in per_user.items()}
        parts[UNTIED] = whose | {"metrics": with_intervals(some, seed)}
    if system.sampled is not None:
        parts[SAMPLED] = whose | {"metrics": with_intervals(by_sampled(system.sampled, judge), seed)}
    kept = {metric: per_user[metric].astype(np.float32) for metric in COMPARED if metric in per_user}
    return Verdict(system.ours, whose | figures, parts, kept)


def untied(judge: Judge) -> np.ndarray | None:
    """Whose last rating shares its second with no other, (n,) bool; None where the fold does not tell."""
    return judge.slices.get(f"order={UNTIED}")


def report(verdicts: Mapping[str, Verdict], judge: Judge, seed: int) -> dict[str, Any]:
    """All figures of a protocol."""
    every = np.ones(len(judge), dtype=bool)
    told = {"systems": {name: each.figures for name, each in verdicts.items()}}
    told |= compared(verdicts, every, seed)
    for part in (UNTIED, SAMPLED):
        systems = {name: each.parts[part] for name, each in verdicts.items() if part in each.parts}
        told |= {part: {"systems": systems}} if systems else {}
    if UNTIED in told:
        told[UNTIED] |= compared(verdicts, untied(judge), seed)
    return told


def recalled(told: Mapping[str, Any], per_user: Mapping[str, PerUser]) -> dict[str, Verdict]:
    """The verdicts that `report` was made of, by the metrics that were kept of them."""
    parts = {part: told[part]["systems"] for part in (UNTIED, SAMPLED) if part in told}
    return {
        name: Verdict(
            figures["ours"],
            figures,
            {part: systems[name] for part, systems in parts.items() if name in systems},
            per_user[name],
        )
        for name, figures in told["systems"].items()
        if name in per_user
    }


def compared(verdicts: Mapping[str, Verdict], rows: np.ndarray, seed: int) -> dict[str, Any]:
    """Ours against the best peer, by metric, on the users at ``rows`` (n,) bool."""
    against = {metric: against_best(verdicts, metric, rows, seed) for metric in COMPARED}
    return {
        "users": int(rows.sum()),
        "against_best_peer": {metric: each for metric, each in against.items() if each},
    }


def against_best(verdicts: Mapping[str, Verdict], metric: str, rows: np.ndarray, seed: int) -> dict[str, Any]:
    """The peer that is best by ``metric`` on these very users, and how far ahead of it ours are.

    Nothing where no peer's lists are long enough for the metric.
    """
    values = {
        name: each.per_user[metric][rows].astype(np.float64)
        for name, each in verdicts.items()
        if metric in each.per_user
    }
    peers = [name for name in values if not verdicts[name].ours]
    if not peers:
        return {}
    best = max(peers, key=lambda name: np.nanmean(values[name]))
    base, told = values[best], {}
    for name, mine in values.items():
        if verdicts[name].ours:
            known = ~np.isnan(base)
            told[name] = {
                **with_intervals({"difference": mine - base}, seed, ["difference"]),
                "relative": list(relative(mine[known], base[known], seed)),
            }
    return {"best_peer": best, "ours": told}


def by_sampled(order: np.ndarray, judge: Judge) -> PerUser:
    """By NCF's protocol (He et al., WWW 2017): where the one positive stands among the sampled items."""
    hits = hits_of(order, judge.users, judge.relevant, judge.n_items)
    measures = {"ndcg": ndcg_at_k, "hit_rate": hit_rate_at_k, "mrr": mrr_at_k}
    return {f"{name}_at_{K}": of(hits, judge.n_relevant, K) for name, of in measures.items()}


def with_intervals(per_user: PerUser, seed: int, metrics: Sequence[str] = METRICS) -> dict[str, list[float]]:
    """Value, low and high of those of ``metrics`` that are there."""
    names = [metric for metric in metrics if metric in per_user]
    rows = means([per_user[metric] for metric in names], seed)
    return dict(zip(names, rows[["value", "low", "high"]].to_numpy().tolist(), strict=True))
