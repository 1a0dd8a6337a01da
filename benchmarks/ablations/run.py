"""What is lost without a part, or with another setting: `python benchmarks/ablations/run.py`.

Everything is learned on *late* or fitted on the past of *valid*, and judged on *valid*, whose users met
nothing of it; the channels are those of artifacts/. The ranker is trained anew (and the gains of merging)
without each channel that is asked and with each that is not, without each group of features, with items told
by ids or vectors too, and with other settings; the two towers with other histories, negatives and starts.
Visitors, of whom nothing is known, are shown what is merged without each channel. A row is the mean paired
difference to what nothing is taken from, over users and seeds. What an earlier run measured of a part with
the same budget, of the same channels and parameters, is kept. ablations.ipynb draws it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd
import papermill
import yaml
from tqdm import tqdm

from recsys.artifacts import fingerprint, read_json, write_json
from recsys.data.dataset import Dataset
from recsys.evaluate import Judge
from recsys.evaluate.intervals import means
from recsys.features.attributes import Attributes
from recsys.features.candidates import ACTIVITY, CandidateFeatures, CandidateNumbers
from recsys.features.spec import Column
from recsys.parameters import overridden
from recsys.pipeline import Merging
from recsys.rank.inputs import Examples
from recsys.rank.ranker import Ranker
from recsys.recall import load_fold
from recsys.recall.item2vec import Item2VecRecall
from recsys.recall.merge_training import learn_gains
from recsys.recall.two_tower import TwoTowerRecall
from recsys.types import PAD, Candidates, MergedCandidates, Requests

HERE = Path(__file__).resolve().parent
REPORT = Path("reports/benchmarks/ablations.json")
DRAWN = Path("reports/notebooks/ablations.ipynb")
SPLITS = ("global_time", "leave_last_out")
WHOLE = "whole"
NO_PARAMETERS = ("popular_days", "shards")
"""Of the section of the towers: what is not said to `TwoTowerRecall`."""
METRICS = "ndcg_at_10", "recall_at_100"
Params = Mapping[str, Any]
PerUser = dict[str, np.ndarray]
"""Metrics of each judged user, the mean over seeds."""


@dataclass(frozen=True)
class Blanked(CandidateFeatures):
    """Tells the same number of every candidate or request by the names of ``blank``: nothing to learn."""

    blank: frozenset[str]

    def request_frame(self, requests: Requests) -> dict[str, np.ndarray]:
        frame = super().request_frame(requests)
        return {name: np.zeros_like(each) if name in self.blank else each for name, each in frame.items()}

    def candidate_numbers(self, requests: Requests, merged: MergedCandidates) -> CandidateNumbers:
        told = super().candidate_numbers(requests, merged)
        found = [
            number for number, name in enumerate(self.found_names(merged.channels)) if name in self.blank
        ]
        known = [number for number, name in enumerate(self.known_names) if name in self.blank]
        told.found[:, found] = 0
        if not known:
            return told
        kept = told.known.copy()
        kept[:, known] = 0
        return replace(told, known=kept)


@dataclass(frozen=True)
class Bench:
    """One split: its data set, parameters, and for each part how many requests and seeds are used."""

    dataset: Dataset
    split: str
    params: Params
    budget: Mapping[str, Mapping[str, int]]

    @property
    def seed(self) -> int:
        return int(self.params["seed"])

    def of_stage(self, stage: str) -> dict[str, Any]:
        """Parameters of a stage as they are for this split."""
        told = dict(self.params[stage])
        return overridden(told, told.pop("at", {}).get(self.split, {}))

    @property
    def of(self) -> dict[str, Any]:
        """What each part is measured of: its parameters, how the channels are merged, requests and seeds."""
        merged = read_json(Path("artifacts") / self.split / "merging" / "merging.json")
        told = {
            "ranker": fingerprint([merged, self.of_stage("mmoe")]),
            "two_tower": fingerprint(self.of_stage("two_tower")),
            "visitors": fingerprint([merged, self.of_stage("cf")]),
        }
        return {part: {"parameters": each, **self.budget.get(part, {})} for part, each in told.items()}

    @cached_property
    def judge(self) -> Judge:
        return Judge.of(self.dataset, self.split, "valid")

    @cached_property
    def attributes(self) -> Attributes:
        return Attributes.of(self.dataset)


class Ablations(Protocol):
    """One part of the system, taken to pieces."""

    @property
    def bench(self) -> Bench: ...
    def variants(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Group, name and what differs, as `measured` takes it; the first is the whole."""
        ...

    def measured(self, **changed: Any) -> PerUser: ...


@dataclass(frozen=True)
class RankerAblations:
    """The ranker, trained anew on what the channels ``asked`` found; ``found`` by fold and fitted channel."""

    bench: Bench
    judges: Mapping[str, Judge]
    found: Mapping[str, Mapping[str, Candidates]]
    asked: tuple[str, ...]

    @classmethod
    def of(cls, bench: Bench) -> Self:
        """Let the channels of artifacts/ find what is ranked, of so many users of late and all of valid."""
        late = Judge.of(bench.dataset, bench.split, "late").sample(
            bench.budget["ranker"]["requests"], bench.seed
        )
        judges, found = {"late": late, "valid": bench.judge}, {}
        told, fitted = bench.of_stage("merging"), Path("artifacts") / bench.split / "recall"
        for fold, judge in judges.items():
            channels = load_fold(fitted, fold, {path.name for path in fitted.glob(f"*/{fold}/*/")})
            requests = judge.fold.requests(judge.rows)
            found[fold] = {name: each.recall(requests, told["depth"]) for name, each in channels.items()}
        return cls(bench, judges, found, tuple(told["channels"]))

    def variants(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Group, name and what differs, as `measured` takes it."""
        numbers = self._features("valid", frozenset())
        near = numbers.found_names([])
        answered = {name for name, each in self.found["valid"].items() if (each.items != PAD).any()}
        groups = {
            "ranks and scores of channels": set(numbers.found_names(self.asked)).difference(near),
            "statistics and numbers of items": numbers.known_names,
            "nearness to the history": near,
            "activity of the user": ACTIVITY,
        }
        yield "whole", WHOLE, {}
        yield "ranking", "merged order", {"ranked": False}
        yield from (("channel", f"without {name}", {"out": name}) for name in self.asked)
        yield from (
            ("channel", f"{name} too", {"added": name}) for name in sorted(answered.difference(self.asked))
        )
        yield from (
            ("features", f"without {name}", {"blank": frozenset(names)}) for name, names in groups.items()
        )
        yield from (
            ("features", f"without attributes of {entity}s", {"entity": entity})
            for entity in ("user", "item")
        )
        yield "items", "ids embedded", {"items": "ids"}
        yield "items", "vectors of item2vec", {"items": "item2vec"}
        yield "ranking", "history attended to", {"history_length": 50}
        yield "ranking", "no listwise loss", {"listwise": 0.0}

    def measured(
        self,
        *,
        ranked: bool = True,
        out: str | None = None,
        added: str | None = None,
        blank: frozenset[str] = frozenset(),
        entity: str | None = None,
        items: str | None = None,
        **settings: Any,
    ) -> PerUser:
        """Metrics by user of the list: a channel ``out`` or ``added``, ``items`` told one more way."""
        examples = self.examples({*self.asked, *([added] if added else [])} - {out}, blank)
        lists = [examples["valid"].merged.items]
        if ranked:
            attributes = self.attributes(entity, items)
            told = {
                "tasks": tuple(self.bench.dataset.spec.tasks),
                **self.bench.of_stage("mmoe")["ranker"],
                **settings,
            }
            lists = []
            for number in range(self.bench.budget["ranker"]["seeds"]):
                ranker = Ranker(**{**told, "widths": tuple(told["widths"]), "seed": self.bench.seed + number})
                ranker.fit([examples["late"]], attributes)
                order = ranker.score_examples(examples["valid"]).order
                lists.append(np.take_along_axis(examples["valid"].merged.items, order, axis=1))
        return mean_of([self.bench.judge.per_user(items) for items in lists])

    def attributes(self, out: str | None, items: str | None) -> Attributes:
        """Without the entity ``out``; with "ids" of items, or what "item2vec" learned before *late*."""
        told = self.bench.attributes
        columns = tuple(each for each in told.columns if each.entity != out)
        if items == "ids":
            ids = Column("item_id", "vocabulary", "item", "item_id")
            return replace(told, columns=(*columns, ids))
        if items == "item2vec":
            past, settings = self.judges["late"].fold.past, self.bench.of_stage("two_tower")
            item2vec = Item2VecRecall(**settings["item2vec"], embedding_dim=settings["embedding_dim"])
            vectors = pd.DataFrame(item2vec.fit(past).item_vectors).add_prefix("item2vec_")
            numbers = tuple(Column(name, "standard", "item", "item2vec") for name in vectors)
            frame = pd.concat([told.items.reset_index(drop=True), vectors], axis=1)
            return replace(told, items=frame, columns=(*columns, *numbers))
        return replace(told, columns=columns)

    def examples(self, asked: Set[str | None], blank: frozenset[str]) -> dict[str, Examples]:
        """By fold, what the channels ``asked`` find, merged by gains that are learned of them."""
        told, tasks = self.bench.of_stage("merging"), tuple(self.bench.dataset.spec.tasks)
        kept = {
            fold: {name: c for name, c in lists.items() if name in asked}
            for fold, lists in self.found.items()
        }
        hits = {name: self.judges["late"].hits(each.items) for name, each in kept["late"].items()}
        merge = Merging(
            k=told["k"], depth=told["depth"], method=told["method"], gains=learn_gains(kept["late"], hits)
        )
        return {
            fold: Examples.of(self._features(fold, blank), judge.fold, judge.rows, merge(kept[fold]), tasks)
            for fold, judge in self.judges.items()
        }

    def _features(self, fold: str, blank: frozenset[str]) -> Blanked:
        past, dataset = self.judges[fold].fold.past, self.bench.dataset
        windows = self.bench.of_stage("mmoe")["windows"]
        fitted = CandidateFeatures.fit(past, dataset.items, dataset.spec.category, windows)
        return Blanked(**vars(fitted), blank=blank)


@dataclass(frozen=True)
class TowerAblations:
    """The two-tower channel alone, fitted anew on the past of *valid*."""

    bench: Bench

    @classmethod
    def of(cls, bench: Bench) -> Self:
        return cls(bench)

    def variants(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        yield "whole", WHOLE, {}
        yield "start", "not from item2vec", {"item2vec": None}
        yield "start", "two epochs", {"epochs": 2}
        yield from (("history", f"last {n} items", {"history_length": n}) for n in (5, 20, 100))
        yield "history", "plain mean", {"pooling": "mean"}
        yield "negatives", "those of the batch alone", {"uniform_negatives": 0}
        yield "negatives", "2,048 beside", {"uniform_negatives": 2048}
        yield "examples", "nothing held back", {"held_back": 0.0}
        yield "features", "no attributes", {"entities": ()}

    def measured(self, *, entities: tuple[str, ...] | None = None, **changed: Any) -> PerUser:
        """Metrics by user of its list of 300, ``changed`` being of its parameters."""
        told = {**self.bench.of_stage("two_tower"), **changed}
        told = {name: each for name, each in told.items() if name not in NO_PARAMETERS}
        judge, attributes, starts = self.bench.judge, self.bench.attributes, told.pop("item2vec")
        if entities is not None:
            attributes = replace(
                attributes, columns=tuple(c for c in attributes.columns if c.entity in entities)
            )
        lists = []
        for number in range(self.bench.budget["two_tower"]["seeds"]):
            seed, vectors = self.bench.seed + number, None
            if starts:
                first = Item2VecRecall(**starts, embedding_dim=told["embedding_dim"], seed=seed)
                vectors = first.fit(judge.fold.past).item_vectors
            towers = TwoTowerRecall(attributes=attributes, id_vectors=vectors, seed=seed, **told)
            found = towers.fit(judge.fold.past).recall(judge.fold.requests(judge.rows), 300)
            lists.append(judge.per_user(found.items))
        return mean_of(lists)


@dataclass(frozen=True)
class VisitorAblations:
    """What newcomers of *valid* would be shown if nothing at all were known of them: the merged list."""

    bench: Bench
    judge: Judge
    merging: Merging
    found: Mapping[str, Candidates]

    @classmethod
    def of(cls, bench: Bench) -> Self:
        """Let the channels of artifacts/ answer them as nobody."""
        judge, artifacts = Judge.of(bench.dataset, bench.split, "valid", cold=True), Path("artifacts")
        told = read_json(artifacts / bench.split / "merging" / "merging.json")
        asked = replace(judge.fold.requests(judge.rows), users=np.full(len(judge), PAD))
        channels = load_fold(artifacts / bench.split / "recall", "valid", told["channels"])
        merging = Merging(**told["merging"])
        found = {name: each.recall(asked, merging.depth) for name, each in channels.items()}
        return cls(bench, judge, merging, found)

    def variants(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each channel that has an answer; none where everybody has a past."""
        answered = [name for name, each in self.found.items() if (each.items != PAD).any()]
        if answered:
            yield "whole", WHOLE, {}
        yield from (("visitors", f"without {name}", {"out": name}) for name in answered)

    def measured(self, *, out: str | None = None) -> PerUser:
        """Metrics by user of the list, ``out`` left out."""
        return self.judge.per_user(self.merging({k: v for k, v in self.found.items() if k != out}).items)


PARTS: Mapping[str, type[RankerAblations] | type[TowerAblations] | type[VisitorAblations]] = {
    "ranker": RankerAblations,
    "two_tower": TowerAblations,
    "visitors": VisitorAblations,
}


def mean_of(runs: list[PerUser]) -> PerUser:
    """The mean over runs, metric by metric."""
    return {name: np.mean([run[name] for run in runs], axis=0) for name in runs[0]}


def compared(whole: PerUser, changed: PerUser, seed: int) -> dict[str, Any]:
    """By metric: the value, and its difference to the whole with low and high."""
    differences = means([changed[name] - whole[name] for name in METRICS], seed)
    return {
        name: {
            "of": float(np.nanmean(changed[name])),
            **row[["value", "low", "high"]].astype(float).to_dict(),
        }
        for name, (_, row) in zip(METRICS, differences.iterrows(), strict=True)
    }


def begun(of: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What an earlier run measured of the same: for each split in ``of`` those parts, others whole."""
    before = read_json(REPORT) if REPORT.exists() else {"of": {}, "splits": {}}
    splits = {}
    for split, parts in before["splits"].items():
        was, now = before["of"][split], of.get(split, before["of"][split])
        splits[split] = {part: rows for part, rows in parts.items() if was.get(part) == now.get(part)}
    return {"of": {**before["of"], **of}, "splits": splits}


def measure(ablations: Ablations, part: str, rows: list[dict[str, Any]], keep: Callable[[], None]) -> None:
    """Add a row for each variant that ``rows`` lacks, and ``keep`` them."""
    variants, known = list(ablations.variants()), {row["name"] for row in rows}
    missing = [each for each in variants if each[1] not in known]
    if not missing:
        return
    whole = ablations.measured()
    for group, name, changed in tqdm(missing, desc=f"{ablations.bench.split} {part}"):
        mine = ablations.measured(**changed) if changed else whole
        rows.append({"group": group, "name": name, **compared(whole, mine, ablations.bench.seed)})
        keep()


def main() -> None:
    """Measure, write reports/benchmarks/ablations.json, and run the notebook that draws it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000, help="of late, that the ranker learns from")
    parser.add_argument("--seeds", type=int, default=3, help="of the ranker")
    parser.add_argument("--tower-seeds", type=int, default=1, help="of the two towers")
    parser.add_argument("--splits", nargs="+", default=SPLITS)
    asked = parser.parse_args()
    params = yaml.safe_load(Path("params.yaml").read_text())
    budget = {
        "ranker": {"requests": asked.requests, "seeds": asked.seeds},
        "two_tower": {"seeds": asked.tower_seeds},
    }
    dataset = Dataset.load(Path("artifacts/data"))
    benches = {split: Bench(dataset, split, params, budget) for split in asked.splits}
    report = begun({split: bench.of for split, bench in benches.items()})
    for part, kind in PARTS.items():
        for split, bench in benches.items():
            rows = report["splits"].setdefault(split, {}).setdefault(part, [])
            measure(kind.of(bench), part, rows, lambda: write_json(REPORT, report))
    DRAWN.parent.mkdir(parents=True, exist_ok=True)
    told = {"report": str(REPORT), "out": str(REPORT.parent)}
    papermill.execute_notebook(str(HERE / "ablations.ipynb"), str(DRAWN), told, kernel_name="python3")


if __name__ == "__main__":
    main()
