"""Whether a release may take the place of the live one: their metrics on the same test data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.artifacts import read_arrays
from recsys.columns import USER_IDX
from recsys.metrics import bootstrap
from recsys.release import Release

PER_USER = "per_user.npz"
"""Part of a release that lets users be paired: ``user_idx`` (n,) and, by its name, each metric (n,)."""


@dataclass(frozen=True)
class Gate:
    """How much worse a candidate may be: for each metric, the share of the live value it may lose.

    ``{"ndcg_at_10": 0.01}`` lets 0.150 fall to 0.1485. ``seed``, ``draws``, ``level`` are of the bootstrap.
    """

    tolerances: Mapping[str, float]
    seed: int = 0
    draws: int = 1000
    level: float = 0.95


@dataclass(frozen=True)
class Measured:
    """What a release (``id``) does on the test data of ``data_hash``.

    ``per_user`` has ``user_idx`` (n,) and, by its name, each metric (n,); nothing where it is not known.
    """

    id: str
    data_hash: str
    metrics: Mapping[str, float]
    per_user: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, release: Release) -> Self:
        """As it was measured when it was made."""
        path, manifest = release.folder / PER_USER, release.manifest
        per_user = read_arrays(path) if path.is_file() else {}
        return cls(manifest.id, manifest.data_hash, manifest.metrics, per_user)


@dataclass(frozen=True)
class Row:
    """One metric of both releases; ``interval`` of the mean difference where users can be paired."""

    metric: str
    live: float
    candidate: float
    interval: tuple[float, float] | None

    @property
    def difference(self) -> float:
        return self.candidate - self.live


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate may go live, the figures, and the reasons in words."""

    passed: bool
    rows: tuple[Row, ...]
    reasons: tuple[str, ...]


def compare(candidate: Measured, live: Measured | None, gate: Gate) -> Verdict:
    """Judge ``candidate`` against ``live`` on the same test data.

    Refused where a metric of the gate is missing, or lower than the live one by more than its tolerance.
    Where both are known of the same users, the interval of the paired difference says
    whether a change may be chance; that does not excuse a loss beyond the tolerance.
    """
    if live is None:
        return Verdict(True, (), ("there is no live release to compare with",))
    if candidate.data_hash != live.data_hash:
        reason = "measured on other data than the live release: measure that one on the same data"
        return Verdict(False, (), (reason,))
    paired = _paired_differences(candidate, live)
    rows: list[Row] = []
    faults: list[str] = []
    remarks: list[str] = []
    for metric, tolerance in gate.tolerances.items():
        lacking = [each.id for each in (live, candidate) if metric not in each.metrics]
        if lacking:
            faults.append(f"{metric} is missing in {' and '.join(lacking)}")
            continue
        row = Row(
            metric,
            live=live.metrics[metric],
            candidate=candidate.metrics[metric],
            interval=_interval(paired.get(metric), gate),
        )
        rows.append(row)
        beyond = row.difference < -tolerance * abs(row.live)
        (faults if beyond else remarks).append(_in_words(row, tolerance, beyond))
    return Verdict(not faults, tuple(rows), tuple(faults + remarks))


def _paired_differences(candidate: Measured, live: Measured) -> dict[str, np.ndarray]:
    """Candidate - live for each user and metric; nothing where the users are not the same."""
    ours, theirs = candidate.per_user, live.per_user
    if not ours or not theirs or not np.array_equal(ours[USER_IDX], theirs[USER_IDX]):
        return {}
    return {metric: ours[metric] - theirs[metric] for metric in ours.keys() & theirs.keys() - {USER_IDX}}


def _interval(differences: np.ndarray | None, gate: Gate) -> tuple[float, float] | None:
    if differences is None:
        return None
    return bootstrap(differences, gate.seed, gate.draws, gate.level)


def _in_words(row: Row, tolerance: float, beyond: bool) -> str:
    change = f"{row.metric} {row.live:.4f} -> {row.candidate:.4f}"
    if beyond:
        change += f", more than {tolerance:.1%} lower"
    if row.interval is None:
        return change
    low, high = row.interval
    sure = "may be chance" if low <= 0 <= high else "more than chance"
    return f"{change} (difference between {low:+.4f} and {high:+.4f}: {sure})"
