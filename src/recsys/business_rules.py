"""Business rules as data: what a ``rules.yaml`` may say, and the same in row numbers.

    boost:
      - {category: Comedy, weight: 1.2, from: 2000-12-01, to: 2000-12-31}
      - {item: Toy Story (1995), weight: 1.5}
    pin:
      - {item: Toy Story (1995), position: 1, from: 2000-12-24, to: 2000-12-24}
    block: {items: [Heat (1995)], categories: [Horror]}
    expiry:
      - {item: Babe (1995), at: 2001-01-01T12:00:00}
    profit: {Toy Story (1995): 1.1}

Every part may be left out. Days are of UTC, both included; a moment without a zone is UTC as well. Positions
count from 1. Weights multiply the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from recsys.types import DAY, PAD
from recsys.vocabulary import Vocabulary

ALWAYS = 2**62
"""Seconds that no clock reaches."""


Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RulesError(Exception):
    """The rules cannot be read or do not fit the catalogue; one line that names file and field."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class _Dated(_Model):
    since: date | None = Field(default=None, alias="from")
    until: date | None = Field(default=None, alias="to")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.until < self.since:
            raise ValueError(f"ends on {self.until}, before it begins on {self.since}")
        return self

    @property
    def span(self) -> Span:
        start = _midnight(self.since) if self.since else -ALWAYS
        return Span(start, _midnight(self.until) + DAY if self.until else ALWAYS)


class Boost(_Dated):
    """A weight for one item or for all of a category."""

    category: str | None = None
    item: str | None = None
    weight: Weight

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.category is None) == (self.item is None):
            raise ValueError("names either a category or an item")
        return self


class Pin(_Dated):
    """A place for an item, wherever it is among a user's candidates."""

    item: str
    position: PositiveInt


class Block(_Model):
    """Items and categories that are never shown."""

    items: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class Expiry(_Model):
    """A moment from which on an item is never shown."""

    item: str
    at: datetime


class Rules(_Model):
    """The content of a ``rules.yaml``; ``Rules()`` is none."""

    boost: tuple[Boost, ...] = ()
    pin: tuple[Pin, ...] = ()
    block: Block = Block()
    expiry: tuple[Expiry, ...] = ()
    profit: dict[str, Weight] = {}
    _source: str = PrivateAttr(default="rules")

    @classmethod
    def load(cls, path: Path) -> Rules:
        """Read a file; RulesError where it is not as described above."""
        try:
            rules = cls.model_validate(yaml.safe_load(path.read_text()) or {})
        except (OSError, yaml.YAMLError) as error:
            raise RulesError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
        except ValidationError as error:
            raise RulesError(f"{path}: {_first(error)}") from error
        rules._source = str(path)
        return rules

    @model_validator(mode="after")
    def _pins_do_not_collide(self) -> Self:
        for one, other in combinations(self.pin, 2):
            if one.span.meets(other.span) and (one.position == other.position or one.item == other.item):
                both = " and ".join(f"{pin.item!r} at {pin.position}" for pin in (one, other))
                raise ValueError(f"pin: {both} on the same days")
        return self

    def bind(self, items: Vocabulary, categories: np.ndarray, names: Sequence[str]) -> BoundRules:
        """Turn ids into row numbers; ``categories`` (n_items, c) is multi-hot, ``names`` its columns.

        An item or category that is not in the catalogue raises RulesError: a rule that silently does nothing
        is worse than none.
        """
        catalogue = _Catalogue(self._source, items, categories, list(names))
        blocked = catalogue.nothing()
        for n, category in enumerate(self.block.categories):
            blocked |= catalogue.of_category(category, f"block.categories.{n}")
        for n, item in enumerate(self.block.items):
            blocked[catalogue.row(item, f"block.items.{n}")] = True
        expires = np.full(len(items), ALWAYS, dtype=np.int64)
        for n, expiry in enumerate(self.expiry):
            row = catalogue.row(expiry.item, f"expiry.{n}.item")
            expires[row] = min(expires[row], _seconds(expiry.at))
        profit = np.ones(len(items))
        for item, weight in self.profit.items():
            profit[catalogue.row(item, "profit")] = weight
        return BoundRules(
            boosts=tuple(
                BoundBoost(catalogue.boosted(boost, f"boost.{n}"), boost.weight, boost.span)
                for n, boost in enumerate(self.boost)
            ),
            pins=tuple(
                BoundPin(catalogue.row(pin.item, f"pin.{n}.item"), pin.position - 1, pin.span)
                for n, pin in enumerate(self.pin)
            ),
            blocked=blocked,
            expires=expires,
            profit=profit,
        )


@dataclass(frozen=True)
class Span:
    """Seconds from ``start`` up to, but not at, ``end``."""

    start: int
    end: int

    def covers(self, now: np.ndarray) -> np.ndarray:
        return (self.start <= now) & (now < self.end)

    def meets(self, other: Span) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class BoundBoost:
    """``items`` (n_items,) bool have their score multiplied by ``weight`` within ``span``."""

    items: np.ndarray
    weight: float
    span: Span


@dataclass(frozen=True)
class BoundPin:
    """Row number ``item`` stands at ``place``, counted from 0, within ``span``."""

    item: int
    place: int
    span: Span


@dataclass(frozen=True)
class BoundRules:
    """Rules in row numbers: (n_items,) each of ``blocked`` bool, ``expires`` int64 s, ``profit`` weights."""

    boosts: tuple[BoundBoost, ...]
    pins: tuple[BoundPin, ...]
    blocked: np.ndarray
    expires: np.ndarray
    profit: np.ndarray


@dataclass(frozen=True)
class _Catalogue:
    source: str
    items: Vocabulary
    categories: np.ndarray
    names: list[str]

    def nothing(self) -> np.ndarray:
        return np.zeros(len(self.items), dtype=bool)

    def row(self, item: str, field: str) -> int:
        row = int(self.items.encode([item])[0])
        if row == PAD:
            raise RulesError(f"{self.source}: {field}: no item {item!r} in the catalogue")
        return row

    def of_category(self, category: str, field: str) -> np.ndarray:
        if category not in self.names:
            raise RulesError(f"{self.source}: {field}: no category {category!r} in the catalogue")
        return np.asarray(self.categories[:, self.names.index(category)] > 0)

    def boosted(self, boost: Boost, field: str) -> np.ndarray:
        if boost.category is not None:
            return self.of_category(boost.category, f"{field}.category")
        boosted = self.nothing()
        boosted[self.row(str(boost.item), f"{field}.item")] = True
        return boosted


def _midnight(day: date) -> int:
    return _seconds(datetime.combine(day, time.min))


def _seconds(moment: datetime) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}" if field else message
