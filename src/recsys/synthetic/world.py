"""A made-up world whose causes are known: for examples, for scale, and to judge estimators by the truth.

People have tastes, a few topics of many; articles have a topic, a quality and a moment at which they appear.
A page shows an article in a place: a place is looked at with a chance that falls with its number (position
bias, stronger on a phone), and what is looked at is clicked with a chance that grows with taste and quality.
Activity and popularity follow power laws; topics come into fashion and go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.types import DAY

BEGIN = 1_735_689_600
"""2025-01-01 in seconds: when the first articles appear."""
TASTES = 3
"""Topics of a person."""
PLACES = 10
"""Of a page."""
AT_RANDOM = 0.1
"""Share of what is shown whose topic has nothing to do with who asks."""
NEW_DAYS, NEW = 7, 0.5
"""Articles are new for so long, and this share of what is shown is new, where there is any."""
SEASON = 28
"""Days in which a topic comes into fashion and goes."""
ANYWAY, CARES = -2.0, 3.0
"""Log odds that an average article is clicked that is looked at, and what all of one's attention adds."""
FADES = np.array([0.5, 1.0])
"""A place is looked at with a chance of ``place ** -fades``: on a desktop, on a phone."""
DEVICES, REGIONS = ("desktop", "phone"), 12
LONGEST = 600.0
"""Seconds of reading."""
AT_ONCE = 1 << 20
"""Rows made at once."""


@dataclass(frozen=True)
class Shown:
    """What pages showed and what became of it, all (n,).

    ``devices`` are places in `DEVICES`, ``positions`` count from 1. ``propensity`` is the chance that this
    article was chosen for who asked, ``looked`` that its place was looked at, ``liked`` that it was clicked
    then; ``clicked`` is what happened, ``seconds`` for how long it was read.
    """

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray
    devices: np.ndarray
    positions: np.ndarray
    propensity: np.ndarray
    looked: np.ndarray
    liked: np.ndarray
    clicked: np.ndarray
    seconds: np.ndarray

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class World:
    """People and articles; articles stand topic after topic, each topic's in the order of appearance.

    ``activity`` (n_users,) is added up, ``tastes`` (n_users, TASTES) are topics and ``shares`` the attention
    that each gets. ``topics``, ``born`` (seconds) and ``quality`` (log odds) are of articles (n_items,),
    ``popularity`` (n_items + 1,) is added up; topic t's articles begin at ``begins[t]``.
    """

    seed: int
    days: int
    activity: np.ndarray
    tastes: np.ndarray
    shares: np.ndarray
    regions: np.ndarray
    topics: np.ndarray
    born: np.ndarray
    quality: np.ndarray
    popularity: np.ndarray
    begins: np.ndarray

    @classmethod
    def of(cls, n_users: int, n_items: int, n_topics: int = 20, days: int = 90, seed: int = 0) -> Self:
        """ValueError where there are too few people, topics, articles or days for a world."""
        if n_users < 1 or n_topics < TASTES or n_items < n_topics or days < NEW_DAYS:
            raise ValueError(
                f"a world needs a user, {TASTES} topics, an article for each and {NEW_DAYS} days, not "
                f"{n_users} users, {n_topics} topics, {n_items} articles and {days} days"
            )
        rng = np.random.default_rng(seed)
        shares = 1 / (np.arange(n_topics) + 3)
        further = rng.choice(n_topics, n_items - n_topics, p=shares / shares.sum())
        topics = np.sort(np.concatenate([np.arange(n_topics), further]))
        begins = np.searchsorted(topics, np.arange(n_topics))
        born = BEGIN + rng.integers(0, days * DAY, n_items)
        born[begins] = BEGIN  # there is always something to show
        return cls(
            seed=seed,
            days=days,
            activity=np.cumsum(np.minimum(rng.pareto(2.0, n_users) + 1, 150)),
            tastes=_distinct(rng.integers(0, n_topics - np.arange(TASTES), (n_users, TASTES))),
            shares=rng.dirichlet(np.ones(TASTES), n_users),
            regions=rng.integers(REGIONS, size=n_users),
            topics=topics,
            born=born[np.lexsort([born, topics])],
            quality=rng.normal(0, 0.7, n_items),
            popularity=np.append(0, np.cumsum(rng.permutation(1 / (np.arange(n_items) + 10)))),
            begins=begins,
        )

    def events(self, n: int, seed: int = 0) -> Iterator[Shown]:
        """``n`` articles shown, at most `AT_ONCE` in a part; parts are no order of time."""
        for number, start in enumerate(range(0, n, AT_ONCE)):
            yield self._shown(min(AT_ONCE, n - start), np.random.default_rng([self.seed, seed, number]))

    def liking(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Chance (n,) that each of ``users`` clicks the one of ``items`` that is looked at: the truth."""
        own = self.tastes[users] == self.topics[items][:, None]
        odds = ANYWAY + CARES * (own * self.shares[users]).sum(axis=1) + self.quality[items]
        return np.asarray(1 / (1 + np.exp(-odds)))

    def _shown(self, n: int, rng: np.random.Generator) -> Shown:
        users = np.searchsorted(self.activity, rng.random(n) * self.activity[-1])
        hours = rng.normal(19, 5, n) % 24
        timestamps = BEGIN + rng.integers(self.days, size=n) * DAY + (hours * 3600).astype(np.int64)
        devices = (rng.random(n) < np.where(hours > 17, 0.7, 0.4)).astype(np.int64)
        positions = rng.integers(1, PLACES + 1, n)
        topics, of_topics = self._topics(users, timestamps, rng)
        items, of_items = self._items(topics, timestamps, rng)
        looked, liked = positions ** -FADES[devices], self.liking(users, items)
        clicked = rng.random(n) < looked * liked
        seconds = np.where(clicked, np.minimum(rng.lognormal(3 + liked, 0.6), LONGEST), 0)
        propensity = of_topics * of_items
        return Shown(
            users, items, timestamps, devices, positions, propensity, looked, liked, clicked, seconds
        )

    def _topics(
        self, users: np.ndarray, now: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """A topic for each, and its chance: by taste and fashion, or any."""
        n_topics, n = len(self.begins), len(users)
        phases = np.random.default_rng([self.seed, 2]).random(n_topics)
        own = self.tastes[users]
        fashion = 1.2 + np.cos(2 * np.pi * ((now[:, None] - BEGIN) / (SEASON * DAY) + phases[own]))
        wanted = self.shares[users] * fashion
        wanted /= wanted.sum(axis=1, keepdims=True)
        slots = (rng.random((n, 1)) > wanted.cumsum(axis=1)[:, :-1]).sum(axis=1)
        at_random = rng.random(n) < AT_RANDOM
        topics = np.where(at_random, rng.integers(n_topics, size=n), own[np.arange(n), slots])
        chance = (wanted * (own == topics[:, None])).sum(axis=1)
        return topics, (1 - AT_RANDOM) * chance + AT_RANDOM / n_topics

    def _items(
        self, topics: np.ndarray, now: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """An article for each that is there by then, and its chance among those of its topic."""
        span = (self.days + 1) * DAY
        keys, asked = self.topics * span + self.born - BEGIN, topics * span + now - BEGIN
        first, end = self.begins[topics], np.searchsorted(keys, asked, side="right")
        lately = np.minimum(NEW_DAYS * DAY, now - BEGIN)
        new = np.maximum(np.searchsorted(keys, asked - lately, side="right"), first)
        share = np.where(new < end, NEW, 0.0)
        low = np.where(rng.random(len(topics)) < share, new, first)
        total = self.popularity[end]
        drawn = self.popularity[low] + rng.random(len(topics)) * (total - self.popularity[low])
        items = np.clip(np.searchsorted(self.popularity, drawn, side="right") - 1, low, end - 1)
        weight = self.popularity[items + 1] - self.popularity[items]
        among_new = np.where(items >= new, weight / np.maximum(total - self.popularity[new], 1e-300), 0.0)
        return items, share * among_new + (1 - share) * weight / (total - self.popularity[first])


def _distinct(drawn: np.ndarray) -> np.ndarray:
    """Different numbers in each row: column j of ``drawn`` is the place among those that are left."""
    chosen = drawn.copy()
    for column in range(1, drawn.shape[1]):
        for before in np.sort(chosen[:, :column], axis=1).T:
            chosen[:, column] += chosen[:, column] >= before
    return chosen
