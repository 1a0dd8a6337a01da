"""Time splits: interactions in four parts, early | late | valid | test, and the folds made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recsys.data.draw import mix
from recsys.data.report import DataError
from recsys.types import DAY, Interactions, Requests

FoldName = Literal["late", "valid", "test"]
PARTS = ("early", "late", "valid", "test")
"""A fold's future is the part of its name, its past all parts before."""


@dataclass(frozen=True)
class Fold:
    """A moment of a data set: what was known, and what came next.

    ``users`` (n,) int64, ascending, are all who have a future; ``now`` (n,) int64 seconds, when each asks.
    """

    past: Interactions
    future: Interactions
    users: np.ndarray
    now: np.ndarray

    @cached_property
    def hot(self) -> np.ndarray:
        """Which of ``users`` have a past, (n,) bool; the others are cold at this moment."""
        return np.asarray(self.past.user_counts[self.users] > 0)

    @cached_property
    def tied(self) -> np.ndarray:
        """Who go on in the very second of their last, (n,) bool: that order is drawn, not known."""
        last = np.full(self.past.n_users, -1)
        np.maximum.at(last, self.past.user_idx, self.past.timestamp)
        return np.asarray(last[self.users] == _first(self.future)[self.users])

    def requests(self, rows: np.ndarray | slice = slice(None)) -> Requests:
        """Make requests of ``users[rows]``: with their past, and the context of what came next."""
        first = np.unique(self.future.user_idx, return_index=True)[1][rows]
        context = {name: told[first] for name, told in self.future.context.items()}
        return replace(Requests.of(self.users[rows], self.past, self.now[rows]), context=context)


class Split(BaseModel):
    """How to cut; its fields are what ``params.yaml`` may set.

    Of a fold's users who have a future at most so many ``users`` are asked, by chance: the others belong to
    the past alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: ClassVar[str]
    users: int | None = Field(default=None, ge=1)

    def parts(self, interactions: Interactions) -> np.ndarray:
        """Place in `PARTS` of each interaction, (n,) int8; a user's never decreases with time."""
        raise NotImplementedError

    def moments(self, past: Interactions, future: Interactions, users: np.ndarray) -> np.ndarray:
        """When each of ``users`` asks, (n,) int64 seconds."""
        raise NotImplementedError

    def fold(self, interactions: Interactions, name: FoldName) -> Fold:
        """Fold ``name``; DataError where its past or its future would be empty."""
        parts, place = self.parts(interactions), PARTS.index(name)
        past, future = interactions[parts < place], interactions[parts == place]
        if not len(past) or not len(future):
            side = "future" if len(past) else "past"
            raise DataError(
                f"split {self.name}: fold {name!r} has no {side}: too few interactions or moments"
            )
        users = self._asked(np.unique(future.user_idx).astype(np.int64))
        future = future[np.isin(future.user_idx, users)]
        return Fold(past, future, users, self.moments(past, future, users))

    def _asked(self, users: np.ndarray) -> np.ndarray:
        if self.users is None or len(users) <= self.users:
            return users
        return np.sort(users[np.argsort(mix(users), kind="stable")[: self.users]])


class GlobalTime(Split):
    """Three moments cut all users alike; rows of one moment are never parted.

    ``late``, ``valid`` and ``test``, the newest last, are shares of all rows where they are below 1, and so
    many days (of UTC) from 1 on; what remains is early.
    """

    name = "global_time"
    late: float = Field(default=0.1, gt=0)
    valid: float = Field(default=0.1, gt=0)
    test: float = Field(default=0.1, gt=0)

    @field_validator("late", "valid", "test")
    @classmethod
    def _whole_days(cls, size: float) -> float:
        if size >= 1 and size != int(size):
            raise ValueError(f"{size:g} is neither a share of the rows nor a number of days")
        return size

    @model_validator(mode="after")
    def _something_remains(self) -> Self:
        if sum(size for size in (self.late, self.valid, self.test) if size < 1) >= 1:
            raise ValueError("late, valid and test together leave nothing early")
        return self

    def parts(self, interactions: Interactions) -> np.ndarray:
        """Place in `PARTS` of each interaction, (n,) int8."""
        n, moments = len(interactions), interactions.timestamp
        if not n:
            return np.zeros(0, dtype=np.int8)
        cuts, first = [], float(n)
        for size in (self.test, self.valid, self.late):
            if size < 1:
                first = max(first - n * size, 0)
                cuts.append(moments[min(round(first), n - 1)])
            else:
                newest = moments[max(round(first), 1) - 1]
                cuts.append((newest // DAY - int(size) + 1) * DAY)
                first = float(np.searchsorted(moments, cuts[-1]))
        return np.searchsorted(cuts[::-1], moments, side="right").astype(np.int8)

    def moments(self, past: Interactions, future: Interactions, users: np.ndarray) -> np.ndarray:
        """One second after the newest past interaction, for all."""
        return np.full(len(users), past.timestamp[-1] + 1, dtype=np.int64)


class LeaveLastOut(Split):
    """Each user's last interaction is test, the last but one valid, the ``late`` before them late.

    Users with none left for early stay in early as a whole: they are learned from, never asked for.
    """

    name = "leave_last_out"
    late: int = Field(default=1, ge=1)

    def parts(self, interactions: Interactions) -> np.ndarray:
        """Place in `PARTS` of each interaction, (n,) int8."""
        place = np.empty(len(interactions), dtype=np.int64)
        place[interactions.by_user] = np.arange(len(interactions))
        after = interactions.offsets[1:][interactions.user_idx] - 1 - place
        parts = np.where(after == 0, 3, np.where(after == 1, 2, np.where(after < 2 + self.late, 1, 0)))
        enough = interactions.user_counts > 2 + self.late
        return np.where(enough[interactions.user_idx], parts, 0).astype(np.int8)

    def moments(self, past: Interactions, future: Interactions, users: np.ndarray) -> np.ndarray:
        """Find the moment of each user's first future interaction.

        Where all is of one moment, for nobody knows when, it is the one after.
        """
        first = past.timestamp[0]
        if first == past.timestamp[-1] and (future.timestamp == first).all():
            return np.full(len(users), first + 1)
        return np.asarray(_first(future)[users])


SPLITS: Mapping[str, type[Split]] = {split.name: split for split in (GlobalTime, LeaveLastOut)}


def make_splits(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Split]:
    """Make splits by name from their parameters; DataError names what is unknown or out of range."""
    made = {}
    for name, parameters in given.items():
        if name not in SPLITS:
            raise DataError(f"there is no split {name!r}, only {', '.join(SPLITS)}")
        try:
            made[name] = SPLITS[name].model_validate(parameters)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(["splits", name, *map(str, first["loc"])])
            raise DataError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
    return made


def _first(interactions: Interactions) -> np.ndarray:
    """First moment of each user, (n_users,) int64."""
    first = np.full(interactions.n_users, np.iinfo(np.int64).max)
    np.minimum.at(first, interactions.user_idx, interactions.timestamp)
    return first


def warmth(interactions: np.ndarray, described: np.ndarray) -> np.ndarray:
    """``hot`` (has interactions), ``warm`` (features only) or ``cold``, one each.

    ``interactions`` (n,) counts, ``described`` (n,) bool.
    """
    return np.where(interactions > 0, "hot", np.where(described, "warm", "cold"))
