"""The last step before the page: business rules, diversity and freshness, on a batch of ranked lists at once.

Places are filled from the first to the last; at each, what stands earlier here comes first:

1. blocked and expired items are gone, whatever else is said of them;
2. a pinned item takes its place, if it is among the user's candidates;
3. windows: of any ``window`` places in a row, at most ``limit`` hold the same main category. This looks at
   what is placed already, never ahead: it gives way at a place only where every item left would break it;
4. freshness: of ``k`` places, ``fresh_share`` (rounded up) go to fresh items, as far as there are candidates.
   The j-th stands in the middle of the j-th part of the list at the latest, unless a window puts it off;
5. diversity: the item with the most of ``relevance_weight * relevance - (1 - relevance_weight) * penalty``,
   where relevance is the score times boosts and profit, scaled to [0, 1] within the list. By "mmr" the
   penalty is the greatest category cosine with an item placed before (Carbonell & Goldstein, SIGIR 1998); by
   "dpp" it is -log of the share of the item that all items placed before leave unexplained: the greedy
   maximum of a determinantal point process (Chen et al., NeurIPS 2018, algorithm 1).

A tie goes to the item that stood higher in the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Literal, Self, get_args

import numpy as np
from numba import njit

from recsys.business_rules import BoundRules
from recsys.recall.vectors import unit
from recsys.types import PAD, Candidates

Diversity = Literal["mmr", "dpp"]
ALIKE = 0.9
"""How much of an item another of the same categories explains; with 1, no two of them could ever stand."""


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


NONE, PIN, WINDOW, FRESH, DIVERSITY, BOOST = (int(move) for move in Move)  # as numba reads them


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

    @cached_property
    def unit(self) -> np.ndarray:
        """``categories`` at length 1; zeros stay."""
        return unit(self.categories)


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

    ``relevance_weight`` in (0, 1], 1 without ``diversity``; ``window`` 0 without windows; ``fresh_share`` in
    [0, 1].
    """

    traits: Traits
    rules: BoundRules
    diversity: Diversity = "mmr"
    relevance_weight: float = 1.0
    window: int = 0
    limit: int = 1
    fresh_share: float = 0.0

    def __post_init__(self) -> None:
        if self.diversity not in get_args(Diversity):
            raise ValueError(f"diversity is {self.diversity!r}, not one of {', '.join(get_args(Diversity))}")
        if not 0 < self.relevance_weight <= 1:
            raise ValueError(f"relevance_weight is {self.relevance_weight}, not above 0 and up to 1")
        if self.window < 0 or self.limit < 1:
            raise ValueError(f"window {self.window} with limit {self.limit}: not from 0 and from 1")
        if not 0 <= self.fresh_share <= 1:
            raise ValueError(f"fresh_share is {self.fresh_share}, not from 0 to 1")

    def rerank(self, candidates: Candidates, now: np.ndarray, k: int) -> Reranked:
        """First ``k`` of each list: ``candidates`` (n, m) best first, no item twice; ``now`` (n,) int64 s.

        Scores are not negative (a boost is a factor). Any that rise down the list count as level, for the
        order given is the order. Unknown users are as any other. A batch is answered as one by one.
        """
        lists = _Lists(self, candidates.top(max(k, candidates.items.shape[1])), now)
        shape = (len(candidates), k)
        before, moves = np.full(shape, PAD, dtype=np.int64), np.zeros(shape, dtype=np.int8)
        _fill(
            lists.left, lists.fresh, lists.main, lists.pinned_to, lists.relevance, lists.items,
            self.traits.unit if self.relevance_weight < 1 else self.traits.unit[:0],
            self.diversity == "dpp", self.relevance_weight, self.window, self.limit,
            _deadlines(self.fresh_share, k), before, moves,
        )  # fmt: skip
        inside = before != PAD
        items = np.where(inside, np.take_along_axis(lists.items, before, axis=1), PAD)
        scores = np.where(inside, np.take_along_axis(lists.scores, before, axis=1), np.float32(-np.inf))
        return Reranked(items, scores, before, moves)


class _Lists:
    """What the rules and traits say of each place of a batch of lists, all (n, m)."""

    def __init__(self, reranker: Reranker, candidates: Candidates, now: np.ndarray) -> None:
        rules, traits = reranker.rules, reranker.traits
        self.items, self.scores = candidates.items, candidates.scores
        shape = self.items.shape
        self.left, self.fresh = np.empty((2, *shape), dtype=bool)
        self.main, self.relevance = np.empty(shape, dtype=np.int64), np.empty(shape)
        _look_up(
            self.items, self.scores, now, rules.blocked, rules.expires, rules.profit,
            traits.fresh, traits.main, self.left, self.fresh, self.main, self.relevance,
        )  # fmt: skip
        for boost in rules.boosts:
            boosted = boost.span.covers(now)[:, None] & boost.items[self.items]
            self.relevance *= np.where(boosted, boost.weight, 1.0)
        _scale(self.relevance, self.left)
        self.pinned_to = self._pins(rules, now)

    def _pins(self, rules: BoundRules, now: np.ndarray) -> np.ndarray:
        """Place that an item is pinned to, PAD for most."""
        places = np.full(self.items.shape, PAD, dtype=np.int64)
        for pin in rules.pins:
            places[(self.items == pin.item) & pin.span.covers(now)[:, None]] = pin.place
        return places


@njit(nogil=True, cache=True)
def _look_up(  # type: ignore[no-untyped-def]
    items, scores, now, blocked, expires, profit, fresh, main, left, freshly, mainly, relevance
):
    """What may be placed, what of it is fresh, main categories, and scores times profit, never rising."""
    for row in range(len(items)):
        level = np.inf
        for at in range(items.shape[1]):
            item = items[row, at]
            level = min(level, np.float64(scores[row, at]))
            left[row, at] = item != PAD and not blocked[item] and now[row] < expires[item]
            freshly[row, at] = left[row, at] and fresh[item]
            mainly[row, at], relevance[row, at] = main[item], level * profit[item]


@njit(nogil=True, cache=True)
def _scale(relevance, among):  # type: ignore[no-untyped-def]
    """To [0, 1] over those of each row that are ``among`` it; 0 for the others."""
    for row in range(len(relevance)):
        low, high = np.inf, -np.inf
        for at in range(relevance.shape[1]):
            if among[row, at]:
                low, high = min(low, relevance[row, at]), max(high, relevance[row, at])
        for at in range(relevance.shape[1]):
            inside = among[row, at] and high > low
            relevance[row, at] = (relevance[row, at] - low) / (high - low) if inside else 0


@njit(nogil=True, cache=True)
def _fill(  # type: ignore[no-untyped-def]
    left, fresh, main, pinned_to, relevance, items, vectors, dpp, relevance_weight, window, limit,
    deadlines, before, moves,
):  # fmt: skip
    """Fill the places of each list, first to last; it uses up ``left`` and ``fresh``."""
    n, m = items.shape
    penalty, fits = np.empty(m), np.empty(m, dtype=np.bool_)
    cosines, explained = np.empty(m, dtype=np.float32), np.empty((before.shape[1] if dpp else 0, m))
    for row in range(n):
        penalty[:] = 0
        gathered = _gathered(vectors, items[row])
        n_fresh = fresh[row].sum()
        for place in range(before.shape[1]):
            chosen, why = _pinned(left[row], pinned_to[row], place)
            if chosen == PAD:
                value = relevance_weight * relevance[row] - (1 - relevance_weight) * penalty
                due = min((deadlines <= place).sum(), n_fresh) > n_fresh - fresh[row].sum()
                recent = main[row][before[row, max(place - window + 1, 0) : place]]
                _within_window(left[row], pinned_to[row], main[row], recent, limit, fits)
                chosen, why = _best(left[row], pinned_to[row], relevance[row], value, fits, fresh[row], due)
            if chosen == PAD:
                break
            before[row, place], moves[row, place] = chosen, why
            left[row, chosen] = fresh[row, chosen] = False
            if len(vectors):
                _cosines(gathered, chosen, cosines)
                if dpp:
                    _explain(penalty, explained, place, chosen, cosines)
                else:
                    np.maximum(penalty, cosines, penalty)


@njit(nogil=True, cache=True)
def _pinned(left, pinned_to, place):  # type: ignore[no-untyped-def]
    """What is pinned to ``place``, or PAD.

    A list too short for its later pins shows them early, the last first: nearer ones keep their place.
    """
    early, n_free = PAD, 0
    for at in range(len(left)):
        if left[at]:
            if pinned_to[at] == place:
                return at, PIN
            if pinned_to[at] == PAD:
                n_free += 1
            elif early == PAD or pinned_to[at] > pinned_to[early]:
                early = at
    return (early if n_free == 0 else PAD), PIN


@njit(nogil=True, cache=True)
def _within_window(left, pinned_to, main, recent, limit, fits):  # type: ignore[no-untyped-def]
    """Mark the free whose main category stands fewer than ``limit`` times among ``recent``; if none, all."""
    found = False
    for at in range(len(left)):
        met = 0
        for category in recent:
            met += category == main[at]
        fits[at] = left[at] and pinned_to[at] == PAD and (met < limit or main[at] == PAD)
        found |= fits[at]
    if not found:
        for at in range(len(left)):
            fits[at] = left[at] and pinned_to[at] == PAD


@njit(nogil=True, cache=True)
def _best(left, pinned_to, relevance, value, fits, fresh, due):  # type: ignore[no-untyped-def]
    """Best of what is free, by each rule in turn, and the last rule that changed the choice."""
    first = boosted = diverse = fitting = freshest = PAD
    for at in range(len(left)):
        if not left[at] or pinned_to[at] != PAD:
            continue
        if first == PAD:
            first = boosted = diverse = at
        boosted = at if relevance[at] > relevance[boosted] else boosted
        diverse = at if value[at] > value[diverse] else diverse
        if fits[at]:
            fitting = at if fitting == PAD or value[at] > value[fitting] else fitting
            if fresh[at]:
                freshest = at if freshest == PAD or value[at] > value[freshest] else freshest
    chosen, why = boosted, BOOST if boosted != first else NONE
    if diverse != chosen:
        chosen, why = diverse, DIVERSITY
    if fitting != chosen:
        chosen, why = fitting, WINDOW
    if due and freshest != PAD and freshest != chosen:
        chosen, why = freshest, FRESH
    return chosen, why


@njit(nogil=True, cache=True)
def _gathered(vectors, items):  # type: ignore[no-untyped-def]
    """What ``vectors`` hold of ``items`` (m,), (c, m); zeros for PAD."""
    gathered = np.zeros((vectors.shape[1], len(items)), dtype=vectors.dtype)
    for at in range(len(items)):
        if items[at] != PAD:
            gathered[:, at] = vectors[items[at]]
    return gathered


@njit(nogil=True, cache=True)
def _cosines(gathered, chosen, cosines):  # type: ignore[no-untyped-def]
    """Write each item's category cosine with ``chosen``."""
    cosines[:] = 0
    for column in range(len(gathered)):
        for at in range(len(cosines)):
            cosines[at] += gathered[column, chosen] * gathered[column, at]


@njit(nogil=True, cache=True)
def _explain(penalty, explained, place, chosen, cosines):  # type: ignore[no-untyped-def]
    """Take from each item what ``chosen`` explains of it beyond those placed before.

    ``explained`` (k, m) is the Cholesky factor of the items placed, a row each.
    """
    left = np.exp(-penalty[chosen] / 2)
    for at in range(len(cosines)):
        by_this = ALIKE * cosines[at]
        for earlier in range(place):
            by_this -= explained[earlier, chosen] * explained[earlier, at]
        explained[place, at] = by_this / left
    for at in range(len(cosines)):
        unexplained = np.exp(-penalty[at]) - explained[place, at] ** 2
        penalty[at] = -np.log(max(unexplained, 1 - ALIKE))


def _deadlines(fresh_share: float, k: int) -> np.ndarray:
    """Places at or before which the first, second ... fresh item must stand."""
    share = math.ceil(round(fresh_share * k, 9))
    return ((np.arange(share) + 0.5) * k / max(share, 1)).astype(np.int64)
