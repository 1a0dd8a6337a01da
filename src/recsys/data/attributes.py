"""What a ``dataset.yaml`` tells of attributes: where their values stand and how features are made of them."""

from __future__ import annotations

import re
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from recsys.columns import ITEM_ID, TIMESTAMP, TITLE, USER_ID

Kind = Literal["number", "category", "labels"]


class Strict(BaseModel):
    """A frozen part of the yaml file, in which no unknown field may stand."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(Strict):
    """How the features stage is to encode an attribute; no ``group`` is a group of its own."""

    name: str = Field(default="", exclude=True)  # the yaml has it as the key
    encoder: str
    group: str = ""
    options: dict[str, JsonValue] = Field(default={})


class Attribute(Feature):
    """A column of users or items: a number, a category, or several labels.

    Labels are split at ``separator``, or are the names of those ``flags`` columns that hold 1, or stand as a
    list in a cell of Parquet or JSON (``type: labels``). ``extract`` keeps what its one group matches in
    ``column``; that is the attribute's own name if not given.
    """

    column: str = ""
    type: Kind = "category"
    separator: str | None = None
    flags: tuple[str, ...] = ()
    extract: str | None = None

    @model_validator(mode="after")
    def _one_way_to_read_it(self) -> Self:
        several = self.separator is not None or bool(self.flags)
        if several and (self.type != "category" or self.extract is not None):
            raise ValueError("separator and flags go with neither a type nor extract")
        if self.type == "labels" and self.extract is not None:
            raise ValueError("extract does not go with type: labels")
        if self.flags and (self.column or self.separator is not None):
            raise ValueError("flags goes with neither column nor separator")
        if self.separator == "":
            raise ValueError("separator is empty")
        if self.extract is not None and _groups(self.extract) != 1:
            raise ValueError(f"extract {self.extract!r} needs exactly one group in parentheses")
        return self

    @property
    def kind(self) -> Kind:
        """What the values are once read."""
        return "labels" if self.flags or self.separator is not None else self.type

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the file that it is read from."""
        return self.flags or (self.column or self.name,)


def _groups(pattern: str) -> int:
    try:
        return re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"extract {pattern!r} is not a regular expression ({error})") from error


class RequestFeature(Feature):
    """An attribute of the request: of its moment, or of the context that ``column`` names.

    Nothing else is known before the event. The option ``source`` tells the features stage to read it there.
    """

    column: str = TIMESTAMP

    @model_validator(mode="before")
    @classmethod
    def _read_from_its_column(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not isinstance(given.get("options", {}), dict):
            return given  # which is told of where it is validated
        source = given.get("column", TIMESTAMP)
        return {**given, "options": {**given.get("options", {}), "source": source}}


_F = TypeVar("_F", bound=Feature)


def named(given: dict[str, _F]) -> dict[str, _F]:
    """Give attributes their keys as names, and as groups where they have none."""
    for name in given:
        if not re.fullmatch(r"[A-Za-z_]\w*", name) or name in (USER_ID, ITEM_ID, TITLE):
            raise ValueError(f"{name!r} cannot name an attribute")
    return {
        name: feature.model_copy(update={"name": name, "group": feature.group or name})
        for name, feature in given.items()
    }
