"""One protocol: peers are tuned on its valid fold, and all are asked at its test fold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import moments
import numpy as np
from judging import System, Verdict, judged
from programs import Answer, Runs, of_ours, of_peer, pins

from recsys.artifacts import ArtifactError, fingerprint, read_json
from recsys.data.dataset import Dataset
from recsys.evaluate import Judge

TUNED_BY = "ndcg_at_10"
WHOLE = "recommender"


@dataclass
class Protocol:
    """A split of ``dataset``; ``most`` users at most are asked. ``verdicts`` grow as systems answer."""

    dataset: Dataset
    split: str
    runs: Runs
    seed: int
    most: int | None = None
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @cached_property
    def valid(self) -> Judge:
        return self._judge("valid")

    @cached_property
    def test(self) -> Judge:
        return self._judge("test")

    def _judge(self, fold: Any) -> Judge:
        judge = Judge.of(self.dataset, self.split, fold)
        return judge if self.most is None else judge.sample(self.most, self.seed)

    @cached_property
    def valid_moment(self) -> Path:
        return self._moment(self.valid)

    @cached_property
    def test_moment(self) -> Path:
        return self._moment(self.test)

    @cached_property
    def sampled_moment(self) -> Path:
        return self._moment(self.test, sampled=True)

    def _moment(self, judge: Judge, sampled: bool = False) -> Path:
        """File of what systems are told."""
        told = moments.moment_of(judge, self.dataset, self.seed if sampled else None)
        return moments.save(told, self.runs.cache / "moments")

    @cached_property
    def samples(self) -> bool:
        """Whether everybody is asked for the next item: sampled negatives can stand beside it."""
        return self.split == "leave_last_out"

    def tuned(self, peer: Mapping[str, Any], budget: float, before: Mapping[str, Any]) -> dict[str, Any]:
        """What was ``chosen`` of the settings of ``peer``, best on valid, and all ``trials``.

        What ``before`` tells ``of`` the same is told again.
        """
        fixed = peer.get("fixed", {})
        decides = [peer["program"], pins(peer["program"]), peer["model"], fixed, peer["tried"], budget]
        of = fingerprint([*decides, self.valid_moment.stem])[:16]
        if before.get("of") == of:
            return dict(before)
        trials = list(self._trials(peer, budget))
        best = max(trials, key=lambda trial: trial[TUNED_BY])["settings"] if trials else peer["tried"][0]
        return {"of": of, "chosen": fixed | best, "trials": trials}

    def _trials(self, peer: Mapping[str, Any], budget: float) -> Iterator[dict[str, Any]]:
        """In their order, until ``budget`` seconds of a processor are spent; what has begun is finished.

        None where there is nothing to choose.
        """
        if len(peer["tried"]) == len(peer["tried"][0].get("epochs", [0])) == 1:
            return
        spent, moment = 0.0, self.valid_moment
        for settings in peer["tried"]:
            if spent >= budget:
                break
            told = peer.get("fixed", {}) | settings
            answer = self.runs.answer(of_peer(peer["program"], peer["model"], moment, told))
            spent += answer.told["all"]["cpu_seconds"]
            for epochs in settings.get("epochs", [0]):
                value = float(np.nanmean(self.valid.per_user(answer.items(str(epochs)))[TUNED_BY]))
                chosen = settings | ({"epochs": [epochs]} if epochs else {})
                print(f"  {chosen}: {TUNED_BY} {value:.4f} on valid", flush=True)
                yield {"settings": chosen, TUNED_BY: value, "cpu_seconds": spent}

    def ask(self, name: str, peer: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
        """Fit ``peer`` on the test fold's past, with the chosen settings, unless that has been judged."""
        sampled = self.samples and peer.get("sampled", False)
        moment = self.sampled_moment if sampled else self.test_moment
        question = of_peer(peer["program"], peer["model"], moment, chosen)
        if name not in self.verdicts or self.verdicts[name].figures["of"] != question.of:
            answer, step = self.runs.answer(question), str(chosen.get("epochs", [0])[-1])
            self._add(name, False, answer, step, answer.told[step], sampled)

    def ask_ours(self, name: str, root: Path) -> None:
        """Let all answer that a run of the pipeline in ``root`` asks for this split, in place of its last."""
        if self._of(root).test_moment != self.test_moment:
            raise ArtifactError(f"{root}: was made of other data than what peers are told")
        for old in [each for each in self.verdicts if each.startswith(f"{name}: ")]:
            del self.verdicts[old]
        fitted, seconds = root / "artifacts" / self.split, notebook_seconds(root, self.split)
        moment = self.sampled_moment if self.samples else self.test_moment
        asked = read_json(fitted / "merging" / "merging.json")["channels"]
        for folder in sorted(each for each in fitted.glob("recall/*/test/*/") if each.name in asked):
            answer = self.runs.answer(of_ours("channel", moment, folder))
            took = {"notebook_seconds": seconds.get(folder.parts[-3])} | answer.told["channel"]
            self._add(f"{name}: {folder.name}", True, answer, "channel", took, self.samples)
        answer = self.runs.answer(of_ours(WHOLE, self.test_moment, fitted / "evaluation" / WHOLE))
        took = {"notebook_seconds": sum(seconds.values()) or None, "recommend_seconds": 0.0}
        for step in ("merged", "ranked", "reranked"):
            took["recommend_seconds"] += answer.told[step]["recommend_seconds"]
            self._add(f"{name}: {step}", True, answer, step, dict(took), False)
        if self.samples:  # where everybody is asked at the end of the past, that is ranked
            took["recommend_seconds"] = answer.told["untimed"]["recommend_seconds"]
            self._add(f"{name}: untimed", True, answer, "untimed", took, False)

    def _of(self, root: Path) -> Protocol:
        return replace(self, dataset=Dataset.load(root / "artifacts" / "data"), verdicts={})

    def _add(
        self, name: str, ours: bool, answer: Answer, step: str, took: Mapping[str, Any], sampled: bool
    ) -> None:
        order = answer.sampled(step) if sampled else None
        kept = {key: value for key, value in took.items() if value is not None}
        kept["peak_mb"] = answer.told["all"]["peak_mb"]
        if ours:
            kept.pop("fit_seconds", None)  # of a program that only loads
        system = System(name, ours, answer.of, answer.items(step), kept, order)
        self.verdicts[name] = judged(system, self.test, self.seed)


def notebook_seconds(root: Path, split: str) -> dict[str, float]:
    """Seconds that each stage's notebook ran, by stage, where the executed copies are there."""
    told = {}
    for path in sorted((root / "reports" / "notebooks" / split).glob("[0-9]*.ipynb")):
        told[path.stem.partition("_")[2]] = read_json(path)["metadata"]["papermill"]["duration"]
    return told
