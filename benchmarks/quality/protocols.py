"""One protocol: what is asked, tuning on its valid fold, and what all made of its test fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import moments
import numpy as np
from programs import Answer, Runs

from recsys.artifacts import ArtifactError, read_json
from recsys.data.dataset import Dataset
from recsys.evaluate import Judge, means, relative
from recsys.metrics import coverage, hit_rate_at_k, hits_of, mrr_at_k, ndcg_at_k

TUNED_BY = "ndcg_at_10"
METRICS = ("ndcg_at_10", "hit_rate_at_10", "mrr_at_10", "recall_at_10", "recall_at_100", "recall_at_300")
COMPARED = ("ndcg_at_10", "recall_at_100", "recall_at_300")
UNTIED = "order=untied"
WHOLE = "recommender"


@dataclass(frozen=True)
class System:
    """What somebody recommended to all users of a test fold, and what it took."""

    name: str
    ours: bool
    items: np.ndarray
    took: Mapping[str, float]
    sampled: np.ndarray | None = None


@dataclass
class Protocol:
    """A split of ``dataset``; ``most`` users at most are asked. ``systems`` grows as they answer."""

    dataset: Dataset
    split: str
    runs: Runs
    seed: int
    most: int | None = None
    systems: list[System] = field(default_factory=list)

    @cached_property
    def valid(self) -> Judge:
        return self._judge("valid")

    @cached_property
    def test(self) -> Judge:
        return self._judge("test")

    def _judge(self, fold: Any) -> Judge:
        judge = Judge.of(self.dataset, self.split, fold)
        return judge if self.most is None else judge.sample(self.most, self.seed)

    def moment(self, judge: Judge, sampled: bool = False) -> Path:
        """File of what systems are told."""
        told = moments.moment_of(judge, self.dataset, self.seed if sampled else None)
        return moments.save(told, self.runs.cache / "moments")

    @cached_property
    def samples(self) -> bool:
        """Whether everybody meets one item next, so that sampled negatives can stand beside it."""
        return self.split == "leave_last_out"

    def tuned(self, peer: Mapping[str, Any], budget: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The settings of ``peer`` that were best on valid, and all trials.

        They are tried in their order until ``budget`` seconds of a processor are spent; what has begun is
        finished.
        """
        spent, trials = 0.0, []
        moment = self.moment(self.valid)
        for settings in peer["tried"]:
            if spent >= budget:
                break
            answer = self.runs.peer(peer["program"], peer["model"], moment, peer.get("fixed", {}) | settings)
            spent += answer.told["all"]["cpu_seconds"]
            for epochs in settings.get("epochs", [0]):
                value = np.nanmean(self.valid.per_user(answer.items(str(epochs)))[TUNED_BY])
                chosen = settings | ({"epochs": [epochs]} if epochs else {})
                trials.append({"settings": chosen, TUNED_BY: float(value), "cpu_seconds": spent})
                print(f"  {chosen}: {TUNED_BY} {value:.4f} on valid", flush=True)
        return max(trials, key=lambda trial: trial[TUNED_BY])["settings"], trials

    def ask(self, name: str, peer: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        """Fit ``peer`` on the test fold's past, with the chosen settings."""
        sampled = self.samples and peer.get("sampled", False)
        settings = peer.get("fixed", {}) | chosen
        moment = self.moment(self.test, sampled)
        answer = self.runs.peer(peer["program"], peer["model"], moment, settings)
        step = str(chosen.get("epochs", [0])[-1])
        self._add(name, False, answer, step, answer.told[step], sampled)

    def ask_ours(self, name: str, root: Path) -> None:
        """Let all answer that a run of the pipeline in ``root`` has left for this split."""
        if self.moment(self._of(root).test) != self.moment(self.test):
            raise ArtifactError(f"{root}: was made of other data than what peers are told")
        fitted, seconds = root / "artifacts" / self.split, notebook_seconds(root, self.split)
        moment = self.moment(self.test, self.samples)
        for folder in sorted(fitted.glob("recall/*/test/*/")):
            answer = self.runs.ours("channel", moment, folder)
            took = {"notebook_seconds": seconds.get(folder.parts[-3])} | answer.told["channel"]
            self._add(f"{name}: {folder.name}", True, answer, "channel", took, self.samples)
        answer = self.runs.ours(WHOLE, self.moment(self.test), fitted / "evaluation" / WHOLE)
        took = {"notebook_seconds": sum(seconds.values()) or None, "recommend_seconds": 0.0}
        for step in ("merged", "ranked", "reranked"):
            took["recommend_seconds"] += answer.told[step]["recommend_seconds"]
            self._add(f"{name}: {step}", True, answer, step, dict(took), False)

    def _of(self, root: Path) -> Protocol:
        return replace(self, dataset=Dataset.load(root / "artifacts" / "data"), systems=[])

    def _add(
        self, name: str, ours: bool, answer: Answer, step: str, took: Mapping[str, Any], sampled: bool
    ) -> None:
        order = answer.sampled(step) if sampled else None
        kept = {key: value for key, value in took.items() if value is not None}
        kept["peak_mb"] = answer.told["all"]["peak_mb"]
        if ours:
            kept.pop("fit_seconds", None)  # of a program that only loads
        self.systems.append(System(name, ours, answer.items(step), kept, order))

    def judged(self) -> dict[str, Any]:
        """All figures of the test fold: systems, and ours against the best peer."""
        per_user = {system.name: self.test.per_user(system.items) for system in self.systems}
        told: dict[str, Any] = {"users": len(self.test), "systems": {}}
        for system in self.systems:
            measured = self._intervals(per_user[system.name])
            measured["coverage_at_10"] = [coverage(system.items[:, :10], self.test.n_items)]
            told["systems"][system.name] = {"ours": system.ours, "metrics": measured, **system.took}
        told["against_best_peer"] = self._against(per_user, np.ones(len(self.test), dtype=bool))
        untied = self.test.slices.get(UNTIED)
        if untied is not None:
            told["untied"] = {"users": int(untied.sum()), "systems": {}}
            for name, measured in per_user.items():
                some = {metric: np.where(untied, values, np.nan) for metric, values in measured.items()}
                told["untied"]["systems"][name] = self._intervals(some)
            told["untied"]["against_best_peer"] = self._against(per_user, untied)
        if self.samples:
            told["sampled"] = {
                system.name: self._sampled(system.sampled)
                for system in self.systems
                if system.sampled is not None
            }
        return told

    def _intervals(self, per_user: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
        names = [metric for metric in METRICS if metric in per_user]
        rows = means([per_user[metric] for metric in names], self.seed)
        return dict(zip(names, rows[["value", "low", "high"]].to_numpy().tolist(), strict=True))

    def _sampled(self, order: np.ndarray) -> dict[str, list[float]]:
        """By NCF's protocol: where the one positive stands among the 99 sampled items."""
        hits = hits_of(order, self.test.users, self.test.relevant, self.test.n_items)
        one = np.ones(len(hits), dtype=np.int64)
        judged = {
            "ndcg_at_10": ndcg_at_k(hits, one, 10),
            "hit_rate_at_10": hit_rate_at_k(hits, one, 10),
            "mrr_at_10": mrr_at_k(hits, one, 10),
        }
        return self._intervals(judged)

    def _against(self, per_user: Mapping[str, Mapping[str, np.ndarray]], rows: np.ndarray) -> dict[str, Any]:
        """By metric: the peer that is best on this very fold, and by how much ours are ahead of it."""
        told: dict[str, Any] = {}
        for metric in COMPARED:
            peers = [each.name for each in self.systems if not each.ours and metric in per_user[each.name]]
            if not peers:  # or the catalogue is shorter than the list
                continue
            best = max(peers, key=lambda name: np.nanmean(per_user[name][metric][rows]))
            base = per_user[best][metric][rows]
            told[metric] = {"best_peer": best, "ours": {}}
            for system in self.systems:
                if system.ours and metric in per_user[system.name]:
                    mine = per_user[system.name][metric][rows]
                    known = ~np.isnan(mine)
                    difference = means([mine - base], self.seed)[["value", "low", "high"]].to_numpy()[0]
                    told[metric]["ours"][system.name] = {
                        "difference": difference.tolist(),
                        "relative": list(relative(mine[known], base[known], self.seed)),
                    }
        return told


def notebook_seconds(root: Path, split: str) -> dict[str, float]:
    """Seconds that each stage's notebook ran, by stage, where the executed copies are there."""
    told = {}
    for path in sorted((root / "reports" / "notebooks" / split).glob("[0-9]*.ipynb")):
        told[path.stem.partition("_")[2]] = read_json(path)["metadata"]["papermill"]["duration"]
    return told
