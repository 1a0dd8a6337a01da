"""What goes in and out of the service; OpenAPI is made of these."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_ITEMS, MOST_PAGES, MOST_IDS, MOST_EVENTS, MOST_USERS, MOST_COLUMNS = 100, 20, 1000, 100, 100, 50
LONGEST_ID = 256
LAST_MOMENT = 1 << 40
"""Seconds since 1970: what lies beyond is no time."""


def _id(value: Any) -> Any:
    """Whole numbers are ids too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _word(value: Any) -> Any:
    """Yes and no are the words that files have."""
    return str(value).lower() if isinstance(value, bool) else value


Text = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]
Id = Annotated[Text, BeforeValidator(_id, json_schema_input_type=Text | int)]
K = Annotated[int, Field(ge=1, le=MOST_ITEMS, description="Items in the list.")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Told = Annotated[Text | Number, BeforeValidator(_word, json_schema_input_type=Text | Number | bool)]
Moment = Annotated[int, Field(ge=0, le=LAST_MOMENT, description="Seconds since 1970.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Context(_Body):
    """What the page knows of the moment."""

    now: Moment | None = Field(None, description="When it is; the service's clock where not given.")
    columns: dict[Text, Told] = Field(
        {},
        max_length=MOST_COLUMNS,
        description="What it knows beside: device, tab, region, as the data set calls them.",
    )


NOTHING = Context(now=None, columns={})


class Recommend(_Body):
    """Ordered items for a user."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "11", "k": 10, "explain": True}]})

    user_id: Id
    k: K = 20
    page: int = Field(0, ge=0, lt=MOST_PAGES, description="0 is the first; pages do not overlap.")
    context: Context = NOTHING
    exclude: tuple[Id, ...] = Field((), max_length=MOST_IDS, description="Items that are not wanted.")
    explain: bool = Field(False, description="Say of each item why it is there.")


class SimilarItems(_Body):
    """Items that the same people had."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"item_id": "Toy Story (1995)", "k": 5}]})

    item_id: Id
    k: K = 20


class Interests(_Body):
    """A list for somebody new, from a few items and categories that they pick."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"items": ["Toy Story (1995)"], "categories": ["Animation"], "k": 10},
                {"categories": ["Comedy", "Romance"]},
            ]
        }
    )

    items: tuple[Id, ...] = Field((), max_length=MOST_EVENTS)
    categories: tuple[Text, ...] = Field(
        (), max_length=MOST_EVENTS, description="Its most popular items stand for a category."
    )
    k: K = 20
    context: Context = NOTHING
    explain: bool = False


class Event(_Body):
    """A user met an item."""

    item_id: Id
    timestamp: Moment | None = None
    value: float | None = Field(
        None,
        ge=-1e6,
        le=1e6,
        allow_inf_nan=False,
        description="As in the data, a rating say; a usual one if not given.",
    )


class Events(_Body):
    """What a user did; the next answer knows of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "11", "events": [{"item_id": "Toy Story (1995)"}]}]}
    )

    user_id: Id
    events: tuple[Event, ...] = Field(min_length=1, max_length=MOST_EVENTS)


class Batch(_Body):
    """Lists of several users at once."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["11", "12"], "k": 10}]})

    user_ids: tuple[Id, ...] = Field(min_length=1, max_length=MOST_USERS)
    k: K = 20
    context: Context = NOTHING


class Swap(_Body):
    """The release to go over to."""

    release: str = Field(pattern=r"^[0-9a-f]{12}$")


class Found(BaseModel):
    """Where a channel had an item."""

    rank: int
    score: float


class Item(BaseModel):
    """One place of a list; from ``channels`` on with ``explain`` only."""

    rank: int
    item_id: str
    title: str
    score: float
    reason: str | None = None
    channels: dict[str, Found] | None = None
    probabilities: dict[str, float] | None = None
    move: str | None = None
    rank_before: int | None = None


class Recommended(BaseModel):
    """An ordered list, which release it is from, and how much of that could answer."""

    user_id: str
    release: str
    served_by: str = Field(
        description="""full: all of it.
without_events: the store is away, what was done since the release was made does not count.
partial: there was no time to ask all channels.
unranked: nor to rank; the order of the merge.
tables: recall failed; the list that was made with the release.
popular: what is popular, for who is unknown or as the last resort."""
    )
    page: int
    items: list[Item]
    milliseconds: dict[str, float]


class Similar(BaseModel):
    """Items that go with one."""

    item_id: str
    release: str
    items: list[Item]


class Kept(BaseModel):
    """How many events were taken."""

    user_id: str
    kept: int


class Lists(BaseModel):
    """An answer a user, in the order asked."""

    lists: list[Recommended]


class Released(BaseModel):
    """The release at work and what it is from; ``refused`` should be at work, but cannot be loaded."""

    release: str
    refused: str | None
    revision: str
    data_hash: str
    newest_event: int
    metrics: dict[str, float]


class Fault(BaseModel):
    """Why there is no answer."""

    error: str
