"""`Recommender`: recall -> rank -> rerank, with what each step did; evaluation and service call this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from recsys.artifacts import read_json, write_json
from recsys.business_rules import Rules
from recsys.catalogue import Catalogue
from recsys.columns import ACTIVITY, TIMESTAMP
from recsys.features.candidates import CandidateFeatures
from recsys.features.spec import REQUEST
from recsys.features.values import FeatureError
from recsys.rank.ranker import Ranker
from recsys.recall import channel
from recsys.recall.merge import SMOOTHING, Gains, Method, merge
from recsys.recall.popular import PopularRecall
from recsys.recall.seen import first_unseen
from recsys.recall.similar_items import SimilarItems
from recsys.rerank import Diversity, Reranker, Traits
from recsys.types import PAD, Candidates, Interactions, MergedCandidates, Recall, Requests

if TYPE_CHECKING:
    import pandas as pd

FALLBACK = "popular"
FULL, UNRANKED = "full", "unranked"
RELATED = ("item_cf", "swing")
"""Channels with a table of similar items; the first that is asked says what goes with what."""


class ContextError(Exception):
    """A request tells what nothing reads; the message names it."""


@dataclass(frozen=True)
class Merging:
    """How channels' candidates become one list: ``k`` of them, ``depth`` from each channel.

    ``quotas`` gives a channel another depth; ``gains`` are those of the method "learned".
    """

    k: int = 300
    depth: int = 300
    quotas: Mapping[str, int] = field(default_factory=dict)
    method: Method = "reciprocal_rank"
    gains: Gains = field(default_factory=dict)

    def __call__(self, found: Mapping[str, Candidates], k: int = 0) -> MergedCandidates:
        """Merge what the channels found, into lists of at least ``k``."""
        within = {name: each.top(self.quota(name, k)) for name, each in found.items()}
        return merge(within, max(self.k, k), self.method, self.gains)

    def quota(self, channel: str, k: int = 0) -> int:
        """How many candidates ``channel`` is asked for, where at least ``k`` are wanted."""
        return max(self.quotas.get(channel, self.depth), k)


@dataclass(frozen=True)
class Reranking:
    """How the first ``pool`` of the ranked list are re-ranked; see `Reranker`.

    An item is fresh for ``fresh_days`` after it was first met.
    """

    pool: int = 100
    diversity: Diversity = "mmr"
    relevance_weight: float = 1.0
    window: int = 0
    limit: int = 1
    fresh_share: float = 0.0
    fresh_days: float = 30

    def reranker(self, catalogue: Catalogue, past: Interactions, rules: Rules) -> Reranker:
        """Bind rules and traits to a catalogue at the end of ``past``."""
        traits = Traits.of(catalogue.categories, past.fresh(self.fresh_days))
        bound = rules.bind(catalogue.items, traits.categories, traits.names)
        return Reranker(
            traits=traits,
            rules=bound,
            diversity=self.diversity,
            relevance_weight=self.relevance_weight,
            window=self.window,
            limit=self.limit,
            fresh_share=self.fresh_share,
        )


@dataclass(frozen=True)
class Recommendations:
    """Lists and how they came about; all arrays (n, k), short rows end in PAD.

    ``items`` int64, ``scores`` float32 (the ranker's), ``ranked`` int64 each item's place before re-ranking,
    ``moves`` int8 codes of `Move`. What each channel said of an item, ``merged``, and its ``probabilities``
    by task stand in the order of recall: there it has the place ``found`` int64. ``served_by`` (n,) is
    "full", "popular" for whoever no personal channel knows, or "unranked".
    """

    requests: Requests
    items: np.ndarray
    scores: np.ndarray
    ranked: np.ndarray
    moves: np.ndarray
    found: np.ndarray
    probabilities: Mapping[str, np.ndarray]
    merged: MergedCandidates
    served_by: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: np.ndarray | slice) -> Recommendations:
        return Recommendations(
            requests=self.requests[rows],
            items=self.items[rows],
            scores=self.scores[rows],
            ranked=self.ranked[rows],
            moves=self.moves[rows],
            found=self.found[rows],
            probabilities={task: each[rows] for task, each in self.probabilities.items()},
            merged=self.merged[rows],
            served_by=self.served_by[rows],
        )

    def listed(self, values: np.ndarray) -> np.ndarray:
        """What ``values`` (n, candidates, ...), in the order of recall, hold of the items (n, k, ...).

        In padded places what they hold of the last candidate.
        """
        return _at(values, self.found)

    def without(self, items: Sequence[Sequence[int]] | np.ndarray) -> Recommendations:
        """Lists that lack each its own ``items``, as long as before: what is left moves up."""
        gone = np.zeros(self.items.shape, dtype=bool)
        for row, unwanted in enumerate(items):
            gone[row] = np.isin(self.items[row], unwanted)
        order = np.argsort(gone, axis=1, kind="stable")
        gone = _at(gone, order)
        return replace(
            self,
            items=np.where(gone, PAD, _at(self.items, order)),
            scores=np.where(gone, np.float32(-np.inf), _at(self.scores, order)),
            ranked=np.where(gone, PAD, _at(self.ranked, order)),
            moves=_at(self.moves, order),
            found=np.where(gone, PAD, _at(self.found, order)),
        )


@dataclass(frozen=True, eq=False)
class Recommender:
    """All that answers a request. Only the user who asks runs inference; all else is a lookup."""

    catalogue: Catalogue
    past: Interactions
    channels: Mapping[str, Recall]
    merging: Merging
    features: CandidateFeatures
    ranker: Ranker
    reranking: Reranking
    rules: Rules

    @cached_property
    def reranker(self) -> Reranker:
        return self.reranking.reranker(self.catalogue, self.past, self.rules)

    @cached_property
    def now(self) -> int:
        """The moment a request is made where none is given: one second after the newest event."""
        return int(self.past.timestamp.max(initial=-1)) + 1

    def check_context(self, told: Mapping[str, str | float]) -> None:
        """ContextError where no feature reads this of a request, or not such a value."""
        spec = self.ranker.inputs_.spec
        known = [name for name in spec.asked if name not in (TIMESTAMP, *ACTIVITY)]
        for name in told:
            if name not in known:
                raise ContextError(f"there is no context {name!r}, only {', '.join(known) or 'the moment'}")
        frame = {name: np.array([value], dtype=object) for name, value in told.items()}
        for column in spec.for_entity(REQUEST).columns:
            if set(column.column.sources) <= frame.keys():
                try:
                    column.encode(frame)
                except FeatureError as error:
                    raise ContextError(str(error)) from error

    def requests(self, users: np.ndarray, now: np.ndarray | int | None = None) -> Requests:
        """Make requests of ``users`` (n,), PAD for unknown.

        With all their past, whatever ``now`` says: a clock that is slow must not bring back what was seen.
        """
        return Requests.of(users, self.past, self.now if now is None else now)

    def recall(
        self,
        requests: Requests,
        k: int = 0,
        spent: dict[str, float] | None = None,
        skip: Callable[[str], bool] | None = None,
    ) -> MergedCandidates:
        """Candidates of all channels, merged; ``k`` where ``merging.k`` is less.

        ``spent`` is told the seconds that each channel took. Those that ``skip``, asked before each, is true
        of stand in the merge as if they knew nothing.
        """
        found = {}
        for name, each in self.channels.items():
            if skip is not None and skip(name):
                found[name] = Candidates.none(len(requests), 0)
                continue
            began = perf_counter()
            found[name] = each.recall(requests, self.merging.quota(name, k))
            if spent is not None:
                spent[name] = perf_counter() - began
        return self.merging(found, k)

    def looked_up(self, requests: Requests, lists: Candidates, k: int) -> MergedCandidates:
        """Candidates from ``lists`` made before, one for each request, without what is seen by now."""
        merged = MergedCandidates.none(tuple(self.channels), len(lists), max(k, lists.items.shape[1]))
        for row, (items, scores) in enumerate(zip(lists.items, lists.scores, strict=True)):
            n, seen = int((items != PAD).sum()), requests.seen[row : row + 1]
            unseen = first_unseen(
                items[:n], scores[:n], len(self.catalogue.items), seen, merged.items.shape[1]
            )
            merged.items[row], merged.scores[row] = unseen.items[0], unseen.scores[0]
        return merged

    def fallback(self, requests: Requests, k: int) -> MergedCandidates:
        """What is popular in each user's segment, for when nothing else works."""
        popular, by_place = self.channels[FALLBACK], replace(self.merging, method="reciprocal_rank")
        assert isinstance(popular, PopularRecall)
        return by_place({FALLBACK: popular.recall_in_segment(requests, self.merging.quota(FALLBACK, k))}, k)

    def rank(self, requests: Requests, merged: MergedCandidates) -> Recommendations:
        """Whole candidate lists in the ranker's order, before re-ranking.

        Who has no past, or whom only the popular channel knows, keeps the order of the merge: the ranker has
        learned of users with a past, and of others it knows less than what is popular tells
        (notebooks/50_mmoe.ipynb). Scores are reciprocal ranks there, for learned gains may be level.
        """
        scores = self.ranker.score(self.features, requests, merged)
        personal = [number for number, name in enumerate(merged.channels) if name != FALLBACK]
        known = (merged.ranks[:, :, personal] != PAD).any(axis=(1, 2))
        ranked = known & (requests.history.lengths > 0)
        by_place = 1 / (SMOOTHING + np.arange(1, merged.items.shape[1] + 1, dtype=np.float32))
        unranked = np.where(merged.items == PAD, -np.inf, by_place)
        final = np.where(ranked[:, None], scores.scores, unranked).astype(np.float32)
        order = np.argsort(-final, axis=1, kind="stable")
        items = _at(merged.items, order)
        return Recommendations(
            requests=requests,
            items=items,
            scores=_at(final, order),
            ranked=np.where(items == PAD, PAD, np.arange(order.shape[1])),
            moves=np.zeros(order.shape, dtype=np.int8),
            found=order,
            probabilities=scores.probabilities,
            merged=merged,
            served_by=np.where(known, FULL, FALLBACK),
        )

    def unranked(self, requests: Requests, merged: MergedCandidates) -> Recommendations:
        """Whole candidate lists in the order of the merge, for when there is no time to rank."""
        places = np.where(merged.items == PAD, PAD, np.arange(merged.items.shape[1]))
        return Recommendations(
            requests=requests,
            items=merged.items,
            scores=merged.scores,
            ranked=places,
            moves=np.zeros(places.shape, dtype=np.int8),
            found=places,
            probabilities={},
            merged=merged,
            served_by=np.full(len(requests), UNRANKED, dtype=object),
        )

    def rerank(self, ranked: Recommendations, k: int) -> Recommendations:
        """The first ``k``, by the re-ranker."""
        pool = max(self.reranking.pool, k)
        shown = self.reranker.rerank(
            Candidates(ranked.items[:, :pool], ranked.scores[:, :pool]), ranked.requests.now, k
        )
        inside = shown.before != PAD
        before = np.where(inside, shown.before, 0)
        return replace(
            ranked,
            items=shown.items,
            scores=shown.scores,
            ranked=np.where(inside, _at(ranked.ranked, before), PAD),
            moves=shown.moves,
            found=np.where(inside, _at(ranked.found, before), PAD),
        )

    def recommend(self, requests: Requests, k: int) -> Recommendations:
        """``k`` items for each request, fewer where recall found fewer; a batch equals one by one."""
        return self.rerank(self.rank(requests, self.recall(requests, k)), k)

    @cached_property
    def related(self) -> SimilarItems | None:
        """What goes with what; None where no channel of `RELATED` is asked."""
        tables = (self.channels[name].similar_ for name in RELATED if name in self.channels)  # type: ignore[attr-defined]
        return next(tables, None)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """The ``k`` items `related` most to each of ``items``; empty rows where nothing is."""
        return Candidates.none(len(items), k) if self.related is None else self.related.similar(items, k)

    def save(self, folder: Path) -> None:
        """Write everything that answering needs: of the past no labels, and user after user."""
        self.catalogue.save(folder / "catalogue")
        self.past.bare().user_after_user().save(folder / "past.npz")
        for name, each in self.channels.items():
            each.save(folder / "channels" / name)
        self.features.save(folder / "features")
        self.ranker.save(folder / "ranker")
        write_json(
            folder / "recommender.json",
            {
                "channels": list(self.channels),
                "merging": asdict(self.merging),
                "reranking": asdict(self.reranking),
                "rules": self.rules.model_dump(mode="json"),
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; from then on BLAS has one thread in this process."""
        # Sums depend on how many threads share them, and lists must come out the same wherever it runs.
        threadpool_limits(1, "blas")
        how: dict[str, Any] = read_json(folder / "recommender.json")
        return cls(
            catalogue=Catalogue.load(folder / "catalogue"),
            past=Interactions.load(folder / "past.npz"),
            channels={name: channel(name).load(folder / "channels" / name) for name in how["channels"]},
            merging=Merging(**how["merging"]),
            features=CandidateFeatures.load(folder / "features"),
            ranker=Ranker.load(folder / "ranker"),
            reranking=Reranking(**how["reranking"]),
            rules=Rules.model_validate(how["rules"]),
        )


def frame(recommender: Recommender, shown: Recommendations) -> pd.DataFrame:
    """One row an item, external ids: user_id, item_id, rank (from 1), score, served_by."""
    import pandas as pd  # here, because a service makes no frames

    rows, places = np.nonzero(shown.items != PAD)
    return pd.DataFrame(
        {
            "user_id": recommender.catalogue.users.decode(shown.requests.users[rows]),
            "item_id": recommender.catalogue.items.decode(shown.items[rows, places]),
            "rank": places + 1,
            "score": shown.scores[rows, places],
            "served_by": shown.served_by[rows],
        }
    )


def _at(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """What `values` (n, m, ...) hold at the places ``order`` (n, k) of each row."""
    return np.asarray(values[np.arange(len(order))[:, None], order])
