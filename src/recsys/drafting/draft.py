"""The text of a ``dataset.yaml``: what is plain from the files, and a question beside each guess."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Self

import numpy as np
import yaml

from recsys.columns import ITEM_ID, TITLE, USER_ID, VALUE
from recsys.data.report import DataError
from recsys.data.typed import numbers
from recsys.drafting.column import Column, words
from recsys.drafting.look import LOOKED_AT, Table, look

# fmt: off
USERS = ("user", "uid", "customer", "client", "member", "visitor", "household", "reader", "person", "account",
         "buyer")
ITEMS = ("item", "iid", "product", "article", "movie", "film", "book", "song", "track", "video", "news",
         "sku", "asin", "content", "offer", "game", "recipe", "place", "business")
"""What those who meet are called, and what they meet."""
CONTEXTS = ("device", "platform", "os", "browser", "environment", "page", "tab", "screen", "surface",
            "referrer", "region", "country", "city", "language", "weather")
AFTERWARDS = ("time", "seconds", "minutes", "duration", "dwell", "views", "view", "viewed", "clicks", "click",
              "depth", "spent", "visited", "scrolled")
CATEGORIES = ("genres", "genre", "category", "categories", "topic", "section", "department", "tags", "labels",
              "type", "brand")
# fmt: on
MOMENTS = ("timestamp", "time", "ts", "datetime", "date", "at", "when", "moment", "day")
RATINGS = ("rating", "score", "stars", "value")
VALUES = (*RATINGS, "quantity", "amount", "count", "plays", "weight")
TITLES = ("title", "name", "headline")
CODES = ("zip", "zipcode", "postcode", "postal", "code", "phone", "id")
"""Never numbers, though their digits look so."""
LIKED = 0.6
"""At most this share of all values is taken for liking."""
RETURNS = 0.05
"""Share of rows in which somebody meets an item again, from which on seen items are taken to return."""
MANY, FEW = 1000, 20
"""Categories beyond which an encoder hashes them; numbers below which they are taken for categories."""
FULL = 0.95
"""Quantile of a number that is taken for all one may hope for."""
BUCKETS, HASHED = 10, 500
LONGEST = 30
"""Characters of an average cell from which on it is text."""
YEAR = "  # its year alone?"
"""Of a date."""


def draft(folder: Path) -> str:
    """A ``dataset.yaml`` for the files of ``folder``; DataError where none of them tells who met what."""
    tables, others = look(folder)
    return "\n".join(_Draft.of(folder, tables, others).lines()) + "\n"


@dataclass(frozen=True)
class _Draft:
    """Which table is what; ``others`` are left out, of which some may tell what was ``shown``."""

    folder: Path
    interactions: Table
    users: Table | None
    items: Table | None
    others: Sequence[str]
    shown: Sequence[Table]

    @classmethod
    def of(cls, folder: Path, tables: Sequence[Table], others: Sequence[str]) -> Self:
        pairs = [each for each in tables if each.id_of(USERS) and each.id_of(ITEMS)]
        if not pairs:
            told = "; ".join(f"{each.file}: {', '.join(c.name for c in each.columns)}" for each in tables)
            raise DataError(
                f"{folder}: no file has a column of users (such as user_id) and one of items (such as "
                f"item_id); name them so, or write dataset.yaml by hand ({told})"
            )
        met = max(pairs, key=lambda each: (_moment(each) is not None, len(each)))
        left = [each for each in tables if each not in pairs]
        users = _entities(left, USERS)
        items = _entities([each for each in left if each is not users], ITEMS)
        unused = [each for each in tables if each not in (met, users, items)]
        shown = [each for each in unused if _places(each, met)]
        return cls(folder, met, users, items, [*others, *(each.file for each in unused)], shown)

    def lines(self) -> Iterator[str]:
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", self.folder.resolve().name).strip("-.") or "my-data"
        yield "# Drafted by `recsys data init`. What ends in a question mark is a guess: look at it, then run"
        yield "# `recsys data check` on this folder, which says what is wrong in which row."
        if self.others:
            yield f"# Not used: {_listed(self.others)}"
        yield f"name: {quoted(name)}"
        yield "about: say here in a line what this is"
        yield "licence: say here who may use it for what"
        yield ""
        yield from self._interactions()
        yield ""
        yield from self._tasks()
        yield ""
        yield from self._seen()
        taken: set[str] = {USER_ID, ITEM_ID, TITLE}
        for part, table, things in (("users", self.users, USERS), ("items", self.items, ITEMS)):
            if table is not None and (ids := _id(table, things)) is not None:
                yield ""
                yield from _entity(part, table, ids, taken, self._known_afterwards)
        yield from self._request(taken)

    @cached_property
    def _known_afterwards(self) -> set[str]:
        """Columns of interactions that no attribute may be called like."""
        told = [*self.feedback.values(), *([self.value] if self.value else [])]
        return {VALUE, *(each.name for each in told)}

    def _request(self, taken: Collection[str]) -> Iterator[str]:
        features = {f"request_{name}" if name in taken else name: name for name in self.context}
        has_moment = _moment(self.interactions) is not None
        if not features and not has_moment:
            return
        yield ""
        yield "request:"
        yield "  attributes:"
        if has_moment:
            yield "    time_of_day: {encoder: time_of_day, group: moment}"
            yield "    day_of_week: {encoder: day_of_week, group: moment}"
        for feature, name in features.items():
            yield f"    {quoted(feature)}: {{column: {quoted(name)}, encoder: vocabulary}}"

    @cached_property
    def context(self) -> dict[str, Column]:
        """What the page knew when it asked, by name."""
        roles = (*self._who_and_what, _moment(self.interactions))
        return _by_name(
            each
            for each in self.interactions.columns
            if each not in roles
            and each.is_named(CONTEXTS)
            and not each.is_named(AFTERWARDS)
            and 0 < each.distinct <= MANY
        )

    @cached_property
    def value(self) -> Column | None:
        """How strong the feedback is, if a column says so."""
        return next((each for each in self._numbers if each.is_named(VALUES)), None)

    @cached_property
    def feedback(self) -> dict[str, Column]:
        """Other numbers known of an event, by a name for rules."""
        return _by_name((each for each in self._numbers if each is not self.value), {VALUE})

    @cached_property
    def _who_and_what(self) -> tuple[Column, Column]:
        user, item = self.interactions.id_of(USERS), self.interactions.id_of(ITEMS)
        assert user is not None
        assert item is not None
        return user, item

    @cached_property
    def _numbers(self) -> list[Column]:
        roles = (*self._who_and_what, _moment(self.interactions), *self.context.values())
        return [each for each in self.interactions.columns if each not in roles and each.numbers is not None]

    def _interactions(self) -> Iterator[str]:
        table, moment, (user, item) = self.interactions, _moment(self.interactions), self._who_and_what
        yield "interactions:"
        yield from _file(table)
        yield "  columns:"
        yield f"    user_id: {quoted(user.name)}"
        yield f"    item_id: {quoted(item.name)}"
        if moment is None:
            yield "    # No column of moments was found, and without one nothing comes next: which one?"
            yield "    timestamp: null"
        else:
            yield f"    timestamp: {{column: {quoted(moment.name)}, unit: {moment.unit}}}"
        if self.value is not None:
            yield f"    value: {quoted(self.value.name)}  # how strong the feedback is?"
        if self.feedback:
            yield "    feedback:  # known only after the event; rules may name them"
            yield from (f"      {quoted(name)}: {quoted(each.name)}" for name, each in self.feedback.items())
        if self.context:
            yield "    context:  # what the page knew when it asked?"
            yield from (f"      {quoted(name)}: {quoted(each.name)}" for name, each in self.context.items())
        known = {user, item, moment, *self._numbers, *self.context.values()}
        left = [each.name for each in table.columns if each not in known]
        if left:
            yield f"  # Not used: {_listed(left)}"
        if self._clicks:
            yield f"  positive: {next(iter(self._clicks))} == 1  # rows where it is 0 were shown, not taken?"
        for shown in self.shown:
            yield "  # Was it on show to who was there? What they did not take of it is an impression then:"
            yield from (f"  # {line}" for line in _impressions(shown, table))

    @cached_property
    def _clicks(self) -> dict[str, Column]:
        """What happened or did not."""
        return {name: each for name, each in self.feedback.items() if each.is_yes_or_no}

    def _tasks(self) -> Iterator[str]:
        yield "tasks:  # what is predicted of an item that is shown?"
        yield from (f"  {quoted(name)}: {{kind: binary, rule: {name} == 1}}" for name in self._clicks)
        if not self._clicks:
            yield "  met: {kind: binary, rule: all}"
        for name, each in self.feedback.items():
            if name not in self._clicks and each.numbers is not None and each.numbers.max() > 0:
                full = float(np.quantile(each.numbers[each.numbers > 0], FULL))
                task = f"{quoted(name)}: {{kind: numeric, rule: {name}, full: {full:g}}}"
                yield f"  # {task}  # predict it too?"
        value = self.value
        if value is None or value.numbers is None or not value.is_named(RATINGS) or "liked" in self._clicks:
            return
        least = _liked_from(value.numbers)
        if least is not None:
            yield f"  liked: {{kind: binary, rule: value >= {least:g}}}  # from there on?"

    def _seen(self) -> Iterator[str]:
        user, item = self._who_and_what
        pairs = user.cells.str.cat(item.cells, sep="\0")
        for clicked in list(self._clicks.values())[:1]:
            pairs = pairs[numbers(clicked.cells)[0] == 1]
        again = float(pairs.duplicated().mean()) if len(pairs) else 0.0
        yield f"seen_items_return: {str(again > RETURNS).lower()}  # they do in {again:.0%} of the rows?"


def _impressions(table: Table, met: Table) -> Iterator[str]:
    item, *places = _places(table, met)
    yield "impressions:"
    yield from _file(table)
    yield f"  item_id: {quoted(item)}"
    yield f"  at: [{', '.join(map(quoted, places))}]"


def _places(table: Table, met: Table) -> list[str]:
    """Its column of items, and those that tell where and when, as of who ``met`` what; else nothing."""
    item, roles = table.id_of(ITEMS), (met.id_of(USERS), met.id_of(ITEMS), _moment(met))
    own = {each.name for each in table.columns if each is not item}
    places = [each.name for each in met.columns if each.name in own and each not in roles]
    return [item.name, *places] if item is not None and places else []


def _entity(
    part: str, table: Table, ids: Column, taken: set[str], afterwards: Collection[str]
) -> Iterator[str]:
    """Lines of ``users`` or ``items``; names that are ``taken`` get the part's before them.

    What is called like something known ``afterwards`` is left out: it would be refused as a leak.
    """
    leaks = [each.name for each in table.columns if each is not ids and each.name in afterwards]
    others = [each for each in table.columns if each is not ids and each.name not in afterwards]
    title = next((each for each in others if each.is_named(TITLES)), None) if part == "items" else None
    told = {}
    for each in others:
        name = _plain(each.name)
        name = f"{part[:-1]}_{name}" if name in taken else name
        if each is not title:
            told[name] = _attribute(name, each)
            taken.add(name)
    kept = {name: how for name, how in told.items() if how}
    yield f"{part}:"
    yield from _file(table)
    yield f"  id: {quoted(ids.name)}"
    if title is not None:
        yield f"  title: {quoted(title.name)}"
    if part == "items":
        category = next(
            (name for word in CATEGORIES for name in kept if word in name.lower().split("_")), None
        )
        if category is not None and "type: number" not in kept[category]:
            yield f"  category: {quoted(category)}  # which lists should vary?"
    if kept:
        yield "  attributes:"
        yield from (
            f"    {quoted(name)}: {{{how}}}{YEAR if 'extract' in how else ''}" for name, how in kept.items()
        )
    left = [name for name, how in told.items() if not how]
    if left:
        yield f"  # Not used, for no value comes back: {_listed(left)}"
    if leaks:
        yield f"  # Not used, for feedback is called so too: {_listed(leaks)}"


def _attribute(name: str, column: Column) -> str:
    """How it is read and encoded, as yaml; empty where it says nothing that others share."""
    at = "" if name == column.name else f"column: {quoted(column.name)}, "
    if not len(column.filled):
        return ""
    if column.lists:
        return f"{at}type: labels, encoder: multi_hot"
    if column.unit == "iso":
        return rf"{at}extract: '(\d{{4}})', type: number, encoder: quantile, options: {{buckets: {BUCKETS}}}"
    if column.numbers is not None and column.distinct >= FEW and not column.is_named(CODES):
        return f"{at}type: number, encoder: quantile, options: {{buckets: {BUCKETS}}}"
    if column.numbers is None and column.separator is not None:
        return f'{at}separator: "{column.separator}", encoder: multi_hot'
    if column.numbers is None and column.filled.str.len().mean() >= LONGEST:
        return f"{at}encoder: text"
    if column.all_differ:
        return ""
    if column.distinct > MANY:
        return f"{at}encoder: hash, options: {{buckets: {HASHED}}}"
    return f"{at}encoder: vocabulary"


def _entities(tables: Sequence[Table], things: Collection[str]) -> Table | None:
    """The largest table that has a row for each of ``things``: their ids are in it, and all differ."""
    found = [each for each in tables if (ids := _id(each, things)) and ids.all_differ]
    return max(found, key=len, default=None)


def _id(table: Table, things: Collection[str]) -> Column | None:
    """Ids by name; a bare ``id`` where the file is named after what it holds."""
    named = any(word.removesuffix("s") in things for word in words(table.file))
    bare = next((each for each in table.columns if each.words == ["id"]), None) if named else None
    return table.id_of(things) or bare


def _moment(table: Table) -> Column | None:
    """The column of moments: one that is named so, or else holds dates."""
    known = [each for each in table.columns if each.unit is not None]
    named = [each for word in MOMENTS for each in known if word in each.words]
    return next(iter([*named, *(each for each in known if each.unit == "iso")]), None)


def _liked_from(values: np.ndarray) -> float | None:
    """The least of a few values from which on at most `LIKED` of them are; None for what is no rating."""
    different = np.unique(values)
    if not 2 < len(different) <= FEW:
        return None
    return float(
        next(each for each in different if (values >= each).mean() <= LIKED or each == different[-1])
    )


def _file(table: Table) -> Iterator[str]:
    yield f"  file: {quoted(table.file)}"
    if table.format != "csv":
        yield f"  format: {table.format}"
    else:
        if table.separator != ",":
            yield f"  separator: {quoted(table.separator)}"
        if table.encoding != "utf-8":
            yield f"  encoding: {table.encoding}"
    if len(table) == LOOKED_AT:
        yield f"  # Only its first {LOOKED_AT:,} rows were looked at."


def _plain(name: str) -> str:
    """A name that rules and attributes may have; what RecBole's files say of types after a colon goes."""
    plain = re.sub(r"\W+", "_", name.partition(":")[0], flags=re.ASCII).strip("_").lower()
    return plain if re.match(r"[a-z_]", plain) else f"column_{plain}"


def _by_name(columns: Iterable[Column], taken: Collection[str] = ()) -> dict[str, Column]:
    """Columns by plain names, of which none is another's or ``taken``."""
    told: dict[str, Column] = {}
    for each in columns:
        plain = _plain(each.name)
        names = (plain if n == 1 else f"{plain}_{n}" for n in count(1))
        told[next(name for name in names if name not in told and name not in taken)] = each
    return told


def _listed(names: Sequence[str]) -> str:
    """Names in a comment, which none of them may end."""
    return ", ".join(name if name.isprintable() else ascii(name) for name in names)


def quoted(text: str) -> str:
    """A yaml scalar that may stand in braces too."""
    told = yaml.safe_dump([text], allow_unicode=text.isprintable(), default_flow_style=True, width=10_000)
    return told.strip()[1:-1]
