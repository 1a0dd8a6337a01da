"""What is shown of users and items: ids, titles, categories."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from recsys import columns
from recsys.artifacts import read_json, write_json
from recsys.types import PAD, Interactions
from recsys.vocabulary import Vocabulary

if TYPE_CHECKING:
    from recsys.data.dataset import Dataset


@dataclass(frozen=True)
class Catalogue:
    """Row i of each is user_idx or item_idx i; ``categories`` are empty where a data set names none."""

    users: Vocabulary
    items: Vocabulary
    titles: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The data set's; an item without a title is called by its id."""
        items = dataset.items
        ids = items[columns.ITEM_ID].tolist()
        titles = items[columns.TITLE].tolist() if columns.TITLE in items else ids
        category = dataset.spec.category
        labels = items[category].tolist() if category else [None] * len(items)
        return cls(
            users=dataset.user_vocabulary,
            items=dataset.item_vocabulary,
            titles=tuple(str(title or id_) for title, id_ in zip(titles, ids, strict=True)),
            categories=tuple(_labels(each) for each in labels),
        )

    def category_bits(self) -> np.ndarray:
        """Categories of each item as bits, (n_items,) uint64; 0 for an item without any.

        The 64 categories of most items have a bit, rarer ones none.
        """
        counts = Counter(name for names in self.categories for name in names)
        commonest = sorted(counts, key=lambda name: (-counts[name], name))[:64]
        bits = {name: 1 << place for place, name in enumerate(commonest)}
        each = (sum(bits.get(name, 0) for name in set(names)) for names in self.categories)
        return np.fromiter(each, dtype=np.uint64, count=len(self.categories))

    def save(self, folder: Path) -> None:
        """Write two JSON files."""
        write_json(folder / "users.json", self.users.ids.tolist())
        content = {"ids": self.items.ids.tolist(), "titles": self.titles, "categories": self.categories}
        write_json(folder / "items.json", content)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        items = read_json(folder / "items.json")
        return cls(
            users=Vocabulary.of(read_json(folder / "users.json")),
            items=Vocabulary.of(items["ids"]),
            titles=tuple(items["titles"]),
            categories=tuple(tuple(each) for each in items["categories"]),
        )


@dataclass(frozen=True)
class Renumbering:
    """Between row numbers of an earlier catalogue, ``before``, and today's.

    ``users`` and ``items`` (n,) int64 are the rows that today's had then, ``items_today`` (n_before,) int64
    those that the items of then have today; PAD where there is none.
    """

    before: Catalogue
    users: np.ndarray
    items: np.ndarray
    items_today: np.ndarray

    @classmethod
    def between(cls, before: Catalogue, today: Catalogue) -> Self:
        """By the ids of both."""
        users, items = before.users.encode(today.users.ids), before.items.encode(today.items.ids)
        return cls(before, users, items, today.items.encode(before.items.ids))

    def backwards(self, events: Interactions) -> Interactions:
        """Today's events in the numbers of then, without those of whom and what was not known yet."""
        users, items = self.users[events.user_idx], self.items[events.item_idx]
        known = (users != PAD) & (items != PAD)
        return replace(
            events[known],
            user_idx=users[known].astype(np.int32),
            item_idx=items[known].astype(np.int32),
            n_users=len(self.before.users),
            n_items=len(self.before.items),
        )

    def forwards(self, items: np.ndarray) -> np.ndarray:
        """Items of then in today's numbers."""
        return np.where(items == PAD, PAD, self.items_today[items])


def _labels(value: object) -> tuple[str, ...]:
    if isinstance(value, list | tuple):
        return tuple(str(each) for each in value)
    return () if value is None or value != value else (str(value),)
