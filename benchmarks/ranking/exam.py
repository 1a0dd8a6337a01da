"""What rankers learn from and are examined on: candidates of a pipeline that has run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recsys.artifacts import read_json
from recsys.data.dataset import Dataset
from recsys.evaluate import Judge
from recsys.features.candidates import CandidateFeatures
from recsys.pipeline import Merging
from recsys.rank.inputs import Examples, passed_over
from recsys.recall import load_fold

FOLDS = ("late", "valid", "test")


@dataclass(frozen=True)
class Exam:
    """Examples of one split by fold, and who judges lists of `valid` and `test`."""

    examples: Mapping[str, Examples]
    judges: Mapping[str, Judge]

    @classmethod
    def of(cls, dataset: Dataset, split: str, params: Mapping[str, Any], root: Path = Path()) -> Exam:
        """Let the channels in artifacts/ of ``root`` find what is ranked."""
        artifacts = root / "artifacts" / split
        merged_as = read_json(artifacts / "merging" / "merging.json")
        merge, examples = Merging(**merged_as["merging"]), {}
        for name in FOLDS:
            fold = dataset.fold(split, name)
            rows = np.flatnonzero(fold.hot)
            requests = fold.requests(rows)
            channels = load_fold(artifacts / "recall", name, merged_as["channels"])
            merged = merge({each: found.recall(requests, merge.depth) for each, found in channels.items()})
            features = CandidateFeatures.fit(
                fold.past, dataset.items, dataset.spec.category, params["windows"]
            )
            ignored = passed_over(params["negatives"], dataset.events[~dataset.positive], fold)
            examples[name] = Examples.of(features, fold, rows, merged, tuple(dataset.spec.tasks), ignored)
        return cls(examples, {name: Judge.of(dataset, split, name) for name in FOLDS[1:]})

    @property
    def feature_names(self) -> list[str]:
        """Of what is told of requests and candidates."""
        late = self.examples["late"]
        return [each.name for each in late.features.columns(late.merged.channels)]

    def drawn(self, fold: str, n: int, seed: int) -> Examples:
        """``n`` requests of ``fold``, all where there are no more."""
        examples = self.examples[fold]
        return examples[np.sort(np.random.default_rng(seed).permutation(len(examples.requests))[:n])]
