"""The last step before the page: business rules, diversity and freshness, on a batch of ranked lists at once.

Places are filled from the first to the last; at each, what stands earlier here comes first:

1. blocked and expired items are gone, whatever else is said of them;
2. a pinned item takes its place, if it is among the user's candidates;
3. windows: of any ``window`` places in a row, at most ``limit`` hold the same main category. This looks at
   what is placed already, never ahead: it gives way at a place only where every item left would break it;
4. freshness: of ``k`` places, ``fresh_share`` (rounded up) go to fresh items, as far as there are candidates.
   The j-th stands in the middle of the j-th part of the list at the latest, unless a window puts it off;
5. MMR (Carbonell & Goldstein, SIGIR 1998): the item with the most of
   ``mmr_lambda * relevance - (1 - mmr_lambda) * its greatest category cosine with an item placed before``,
   where relevance is the score times boosts and profit, scaled to [0, 1] within the list.

A tie goes to the item that stood higher in the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np

from recsys.business_rules import BoundRules
from recsys.types import PAD, Candidates

ROWS = 1024
"""Lists re-ranked at once: bounds the memory of their category vectors."""


class Move(IntEnum):
    """Why an item was taken for its place ahead of one that stood higher; ``NONE``: it was the highest left.

    ``BOOST`` stands for profit too. Items that others overtook are ``NONE``.
    """

    NONE = 0
    PIN = 1
    WINDOW = 2
    FRESH = 3
    DIVERSITY = 4
    BOOST = 5


@dataclass(frozen=True)
class Traits:
    """What re-ranking knows of the items.

    ``categories`` (n_items, c) multi-hot float32, ``names`` of its columns, ``main`` (n_items,) int64 the
    column of the main category, PAD where an item has none, ``fresh`` (n_items,) bool.
    """

    categories: np.ndarray
    names: tuple[str, ...]
    main: np.ndarray
    fresh: np.ndarray

    @classmethod
    def of(cls, labels: Sequence[Sequence[str]], fresh: np.ndarray) -> Self:
        """Traits of items with these categories each; the first named is the main one."""
        names = sorted({name for row in labels for name in row})
        column = {name: n for n, name in enumerate(names)}
        categories = np.zeros((len(labels), len(names)), dtype=np.float32)
        rows = [n for n, row in enumerate(labels) for _ in row]
        categories[rows, [column[name] for row in labels for name in row]] = 1
        main = np.array([column[row[0]] if len(row) else PAD for row in labels], dtype=np.int64)
        return cls(categories, tuple(names), main, fresh)


@dataclass(frozen=True)
class Reranked:
    """Lists as they are shown: all (n, k), short rows end in PAD.

    ``items`` int64, ``scores`` float32 as they came (-inf where padded), ``before`` int64 the place in the
    input (from 0, PAD where padded), ``moves`` int8 codes of `Move`.
    """

    items: np.ndarray
    scores: np.ndarray
    before: np.ndarray
    moves: np.ndarray

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True)
class Reranker:
    """Re-ranks lists; the defaults but for ``rules`` leave an order untouched.

    ``mmr_lambda`` in (0, 1], 1 without diversity; ``window`` 0 without windows; ``fresh_share`` in [0, 1].
    """

    traits: Traits
    rules: BoundRules
    mmr_lambda: float = 1.0
    window: int = 0
    limit: int = 1
    fresh_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.mmr_lambda <= 1:
            raise ValueError(f"mmr_lambda is {self.mmr_lambda}, not above 0 and up to 1")
        if self.window < 0 or self.limit < 1:
            raise ValueError(f"window {self.window} with limit {self.limit}: not from 0 and from 1")
        if not 0 <= self.fresh_share <= 1:
            raise ValueError(f"fresh_share is {self.fresh_share}, not from 0 to 1")

    def rerank(self, candidates: Candidates, now: np.ndarray, k: int) -> Reranked:
        """First ``k`` of each list: ``candidates`` (n, m) best first, no item twice; ``now`` (n,) int64 s.

        Scores are not negative (a boost is a factor). Any that rise down the list count as level, for the
        order given is the order. Unknown users are as any other. A batch is answered as one by one.
        """
        candidates = candidates.top(max(k, candidates.items.shape[1]))
        parts = [
            _Lists(self, candidates[at : at + ROWS], now[at : at + ROWS]).fill(k)
            for at in range(0, max(len(candidates), 1), ROWS)
        ]
        return Reranked(*(np.concatenate(each) for each in zip(*parts, strict=True)))


class _Lists:
    """Lists of one batch while their places are filled; all masks are (n, m)."""

    def __init__(self, reranker: Reranker, candidates: Candidates, now: np.ndarray) -> None:
        self.reranker = reranker
        self.traits = reranker.traits
        self.items = candidates.items
        self.scores = candidates.scores
        self.rows = np.arange(len(candidates))
        present = self.items != PAD
        rules = reranker.rules
        self.left = present & ~rules.blocked[self.items] & (now[:, None] < rules.expires[self.items])
        self.fresh = self.left & self.traits.fresh[self.items]
        self.n_fresh = self.fresh.sum(axis=1)
        self.main = self.traits.main[self.items]
        self.relevance = _scaled(self._weighted(now), self.left)
        self.pinned_to = self._pins(now)
        self.vectors = _unit(self.traits.categories[self.items]) if reranker.mmr_lambda < 1 else None
        self.nearest = np.zeros(self.items.shape)

    def fill(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Items, scores, places before, moves, each (n, k)."""
        before = np.full((len(self.rows), k), PAD, dtype=np.int64)
        moves = np.zeros((len(self.rows), k), dtype=np.int8)
        recent = np.full((len(self.rows), max(self.reranker.window - 1, 0)), PAD, dtype=np.int64)
        owed = self._owed(k)
        for place in range(k):
            chosen, why = self._choose(place, recent, owed[:, place])
            taken = self.left[self.rows, chosen]
            before[:, place] = np.where(taken, chosen, PAD)
            moves[:, place] = np.where(taken, why, Move.NONE)
            if recent.shape[1]:
                recent[:, place % recent.shape[1]] = self.main[self.rows, chosen]
            self._take(chosen)
        inside = before != PAD
        items = np.where(inside, np.take_along_axis(self.items, before, axis=1), PAD)
        scores = np.where(inside, np.take_along_axis(self.scores, before, axis=1), np.float32(-np.inf))
        return items, scores, before, moves

    def _choose(self, place: int, recent: np.ndarray, owed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Column for ``place`` in each row, and the rule that decided it."""
        free = self.left & (self.pinned_to == PAD)
        first = free.argmax(axis=1)
        boosted = _best(self.relevance, free)
        chosen, why = boosted, np.where(boosted != first, Move.BOOST, Move.NONE)
        value = self.relevance
        if self.vectors is not None:
            share = self.reranker.mmr_lambda
            value = share * self.relevance - (1 - share) * self.nearest
            chosen, why = _instead(chosen, why, _best(value, free), Move.DIVERSITY)
        fitting = free
        if recent.shape[1]:
            fitting = _where_any(free & self._fits(recent), free)
            chosen, why = _instead(chosen, why, _best(value, fitting), Move.WINDOW)
        if owed.any():
            due = (self.n_fresh - self.fresh.sum(axis=1) < owed)[:, None]
            fitting = _where_any(fitting & (self.fresh | ~due), fitting)
            chosen, why = _instead(chosen, why, _best(value, fitting), Move.FRESH)
        return self._pinned(place, free, chosen, why)

    def _pinned(
        self, place: int, free: np.ndarray, chosen: np.ndarray, why: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        here = self.left & (self.pinned_to == place)
        # A list too short for its later pins shows them early, the last first: nearer ones keep their place.
        early = np.where(self.left, self.pinned_to, PAD)
        pin = np.where(here.any(axis=1), here.argmax(axis=1), early.argmax(axis=1))
        by_pin = here.any(axis=1) | ~free.any(axis=1)
        return np.where(by_pin, pin, chosen), np.where(by_pin, Move.PIN, why)

    def _fits(self, recent: np.ndarray) -> np.ndarray:
        """Items whose main category stands fewer than ``limit`` times among those of the last places."""
        met = np.zeros(self.items.shape, dtype=np.int64)
        for column in recent.T:
            met += self.main == column[:, None]
        return np.asarray((met < self.reranker.limit) | (self.main == PAD))

    def _take(self, chosen: np.ndarray) -> None:
        self.left[self.rows, chosen] = False
        self.fresh[self.rows, chosen] = False
        if self.vectors is not None:
            # Not a matrix product: its sums would depend on the size of the batch.
            cosine = np.einsum("nmc,nc->nm", self.vectors, self.vectors[self.rows, chosen])
            np.maximum(self.nearest, cosine, out=self.nearest)

    def _weighted(self, now: np.ndarray) -> np.ndarray:
        rules = self.reranker.rules
        level = np.minimum.accumulate(self.scores.astype(np.float64), axis=1)
        score: np.ndarray = level * rules.profit[self.items]
        for boost in rules.boosts:
            score *= np.where(boost.span.covers(now)[:, None] & boost.items[self.items], boost.weight, 1.0)
        return score

    def _pins(self, now: np.ndarray) -> np.ndarray:
        """Place that an item is pinned to, PAD for most."""
        places = np.full(self.items.shape, PAD, dtype=np.int64)
        for pin in self.reranker.rules.pins:
            places[(self.items == pin.item) & pin.span.covers(now)[:, None]] = pin.place
        return places

    def _owed(self, k: int) -> np.ndarray:
        """How many fresh items must stand at or before each place, (n, k)."""
        share = math.ceil(round(self.reranker.fresh_share * k, 9))
        deadlines = ((np.arange(share) + 0.5) * k / max(share, 1)).astype(np.int64)
        by_place = np.searchsorted(deadlines, np.arange(k), side="right")
        return np.asarray(np.minimum(by_place, self.n_fresh[:, None]))


def _best(value: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Column of the greatest value in each row, the first of equal ones."""
    return np.asarray(np.where(among, value, -np.inf).argmax(axis=1))


def _instead(
    chosen: np.ndarray, why: np.ndarray, other: np.ndarray, rule: Move
) -> tuple[np.ndarray, np.ndarray]:
    return other, np.where(other != chosen, rule, why)


def _where_any(wanted: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(wanted.any(axis=1, keepdims=True), wanted, otherwise)


def _scaled(score: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Score moved to [0, 1] over those of each row that are ``among`` it; 0 for the others."""
    score = np.where(among, score, 0.0)
    low = np.where(among, score, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(among, score, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    scaled = np.zeros(score.shape)
    np.divide(score - low, high - low, out=scaled, where=among & (high > low))
    return scaled


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0))
