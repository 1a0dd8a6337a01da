"""`FeatureSpec`: which columns a model sees and how; training and serving encode by the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from recsys import artifacts, columns
from recsys.features.encoders import Encoder, encoder_class, fit_encoder, restore, state_of, takes
from recsys.features.numeric import NumberBlock, Robust, Standard, Uniform
from recsys.features.values import FeatureError, Frame, read

if TYPE_CHECKING:  # serving encodes without ever reading a dataset.yaml
    from recsys.data.spec import DatasetSpec, Entity
    from recsys.types import Requests

SOURCE, TRIALS, SHARE = "source", "trials", "share"
REQUEST = "request"


@dataclass(frozen=True)
class Column:
    """A feature before it is fitted.

    ``entity`` names the frame that holds it (user, item, request, candidate), ``group`` the attribute group
    whose columns are pooled. ``options`` go to the encoder, but for three: ``source``, the frame's column if
    it is not ``name`` (two encoders may read one); ``trials``, the second column of a rate; ``share``, a name
    (or another column's): columns that share it have one vocabulary and one embedding table.
    """

    name: str
    encoder: str
    entity: str
    group: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Columns of the frame that it reads."""
        first = self.options.get(SOURCE, self.name)
        return (first, self.options[TRIALS]) if TRIALS in self.options else (first,)

    @property
    def table(self) -> str:
        """Name of its embedding table."""
        return str(self.options.get(SHARE, self.name))

    @property
    def encoder_options(self) -> dict[str, Any]:
        """Options that are the encoder's."""
        return {name: value for name, value in self.options.items() if name not in (SOURCE, TRIALS, SHARE)}

    def values(self, frame: Frame) -> np.ndarray:
        """Its raw values: (n,), or (n, 2) of a rate."""
        if len(self.sources) == 1:
            return read(frame, self.sources[0])
        return np.column_stack([read(frame, name) for name in self.sources])

    def hashed(self, buckets: int) -> Column:
        """Replace its encoder by a hash; a rate, which no single value is, stays as it is."""
        if TRIALS in self.options:
            return self
        kept = {name: self.options[name] for name in (SOURCE, SHARE) if name in self.options}
        return Column(self.name, "hash", self.entity, self.group, {**kept, "buckets": buckets})


def columns_of(dataset: DatasetSpec) -> tuple[Column, ...]:
    """Columns of all attributes that a ``dataset.yaml`` declares: users', items' and the request's."""
    entities: tuple[Entity, ...] = ("user", "item", "request")
    return tuple(
        Column(each.name, each.encoder, entity, each.group, each.options)
        for entity in entities
        for each in dataset.attributes(entity)
    )


@dataclass(frozen=True)
class FittedColumn:
    """A column and what was learned of it on train."""

    column: Column
    encoder: Encoder

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def group(self) -> str:
        """``entity.group``: users' and items' groups are never one, however they are called."""
        return f"{self.column.entity}.{self.column.group}"

    def encode(self, frame: Frame) -> np.ndarray:
        values = self.column.values(frame)
        try:
            return self.encoder.encode(values)
        except (TypeError, ValueError) as error:
            raise FeatureError(f"column {self.name!r} ({self.column.encoder}): {error}") from error


@dataclass(frozen=True)
class _Plan:
    """Columns to encode one by one, and numbers to encode together: a source is read once, a call is one."""

    single: Sequence[FittedColumn]
    together: Sequence[FittedColumn]
    sources: Sequence[str]
    block: NumberBlock

    @classmethod
    def of(cls, columns: Sequence[FittedColumn]) -> Self:
        together = [each for each in columns if isinstance(each.encoder, (Standard, Robust, Uniform))]
        sources = list(dict.fromkeys(each.column.sources[0] for each in together))
        return cls(
            single=[each for each in columns if each not in together],
            together=together,
            sources=sources,
            block=NumberBlock(
                [each.encoder for each in together],  # type: ignore[misc]
                [sources.index(each.column.sources[0]) for each in together],
            ),
        )

    def encode(self, frame: Frame) -> dict[str, np.ndarray]:
        encoded = {each.name: each.encode(frame) for each in self.single}
        if not self.together:
            return encoded
        try:
            values = np.stack(
                [read(frame, source) for source in self.sources], dtype=np.float64, casting="unsafe"
            )
        except (TypeError, ValueError):  # one by one: the error names the column
            return encoded | {each.name: each.encode(frame) for each in self.together}
        block = self.block.encode(values)
        return encoded | {each.name: block[n][:, None] for n, each in enumerate(self.together)}


@dataclass(frozen=True)
class FeatureSpec:
    """Fitted columns, in order. Frozen; fitted on train only; its JSON is all of it."""

    columns: tuple[FittedColumn, ...]

    @classmethod
    def fit(cls, frames: Mapping[str, Frame], columns: Sequence[Column], hash_all: int | None = None) -> Self:
        """Fit ``columns``, each on the frame of its entity.

        ``hash_all`` hashes every column but rates into so many buckets, whatever its encoder. FeatureError
        names the column where one is missing, told twice, has a wrong option, or holds feedback: a label as a
        feature is a leak.
        """
        chosen = [each.hashed(hash_all) for each in columns] if hash_all else list(columns)
        _check(chosen)
        tables: dict[str, list[tuple[Column, np.ndarray]]] = {}
        for each in chosen:
            tables.setdefault(each.table, []).append((each, _training_values(frames, each)))
        fitted = {name: encoder for members in tables.values() for name, encoder in _fit_table(members)}
        return cls(tuple(FittedColumn(each, fitted[each.name]) for each in chosen))

    def encode(self, frame: Frame, entity: str | None = None) -> dict[str, np.ndarray]:
        """Arrays by column name, of ``entity``'s columns or of all, shaped as `Encoder` says.

        Rows are encoded each for itself: a batch equals one by one. A column that ``frame`` lacks is a
        FeatureError; unseen and missing values are not.
        """
        if entity not in self._plans:
            chosen = [each for each in self.columns if entity is None or each.column.entity == entity]
            self._plans[entity] = _Plan.of(chosen)
        return self._plans[entity].encode(frame)

    def encode_requests(self, requests: Requests, numbers: Frame) -> dict[str, np.ndarray]:
        """Encode what requests tell: their moment and their context, beside ``numbers`` of them (n,) by name.

        A context that a request does not tell is missing.
        """
        frame: dict[str, Any] = {columns.TIMESTAMP: requests.now, **numbers}
        for name in self.asked:
            if name not in frame:
                untold = np.full(len(requests), None)
                frame[name] = requests.context.get(name, untold)
        return self.encode(frame, REQUEST)

    @cached_property
    def asked(self) -> tuple[str, ...]:
        """Columns of requests that are read."""
        return tuple(
            {name: None for each in self.for_entity(REQUEST).columns for name in each.column.sources}
        )

    def for_entity(self, *entities: str) -> FeatureSpec:
        """Keep the columns of ``entities`` alone: a tower's spec."""
        return FeatureSpec(tuple(each for each in self.columns if each.column.entity in entities))

    def of_groups(self, *groups: str) -> FeatureSpec:
        """Keep the columns of ``groups`` (``entity.group``) alone."""
        return FeatureSpec(tuple(each for each in self.columns if each.group in groups))

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Attribute groups (``entity.group``), in the order of their first columns."""
        return tuple(dict.fromkeys(each.group for each in self.columns))

    def to_json(self) -> dict[str, Any]:
        """JSON-able content."""
        return {
            "columns": [
                {
                    "name": each.name,
                    "encoder": each.column.encoder,
                    "entity": each.column.entity,
                    "group": each.column.group,
                    "options": dict(each.column.options),
                    "state": state_of(each.encoder),
                }
                for each in self.columns
            ]
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Restore what `to_json` gave, before or after a trip through a file."""
        return cls(tuple(_fitted(dict(each)) for each in content["columns"]))

    @cached_property
    def _plans(self) -> dict[str | None, _Plan]:
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Hash of its JSON; a model refuses another's."""
        return artifacts.fingerprint(self.to_json())


def _fitted(content: dict[str, Any]) -> FittedColumn:
    state = content.pop("state")
    return FittedColumn(Column(**content), restore(content["encoder"], state))


def _check(chosen: Sequence[Column]) -> None:
    names = set()
    for each in chosen:
        if each.name in names:
            raise FeatureError(f"column {each.name!r} stands twice; give one another name and a source")
        names.add(each.name)
        for source in (each.name, *each.sources):
            if source in (columns.VALUE, columns.POSITIVE) or source.startswith(columns.LABEL_PREFIX):
                raise FeatureError(
                    f"column {each.name!r} reads {source!r}, which is feedback: that is a leak"
                )
        encoder_class(each.encoder)
        if (each.encoder == "wilson") != (TRIALS in each.options):
            raise FeatureError(f"column {each.name!r}: {TRIALS!r} belongs to the encoder 'wilson', and must")


def _training_values(frames: Mapping[str, Frame], column: Column) -> np.ndarray:
    if column.entity not in frames:
        raise FeatureError(f"column {column.name!r}: there is no frame of entity {column.entity!r}")
    return column.values(frames[column.entity])


def _fit_table(members: Sequence[tuple[Column, np.ndarray]]) -> list[tuple[str, Encoder]]:
    """Fit the columns of one embedding table: each one's encoder by name."""
    encoders = [(column.name, _fit_column(column, values, {})) for column, values in members]
    first = members[0][0]
    if len(members) == 1:
        return encoders
    if all(takes(column.encoder, "categories") for column, _ in members):
        union = sorted({each for _, encoder in encoders for each in state_of(encoder)["categories"]})
        return [
            (column.name, _fit_column(column, values, {"categories": union})) for column, values in members
        ]
    if any(column.encoder != "hash" for column, _ in members) or len({e.size for _, e in encoders}) > 1:
        names = ", ".join(column.name for column, _ in members)
        raise FeatureError(
            f"columns {names} cannot share {first.table!r}: all vocabulary or multi_hot, or all alike hash"
        )
    return encoders


def _fit_column(column: Column, values: np.ndarray, extra: Mapping[str, Any]) -> Encoder:
    options = {**column.encoder_options, **extra}
    if takes(column.encoder, "salt"):
        options.setdefault("salt", column.table)
    try:
        return fit_encoder(column.encoder, values, options)
    except (FeatureError, TypeError, ValueError) as error:
        raise FeatureError(f"column {column.name!r}: {error}") from error
