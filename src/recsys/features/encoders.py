"""All encoders by the name that ``dataset.yaml`` gives them, and what they have in common."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, cast

import numpy as np

from recsys.features import categorical, numeric, text
from recsys.features.categorical import Kind
from recsys.features.values import FeatureError


class Encoder(Protocol):
    """A fitted encoder: a frozen dataclass whose fields are its whole state.

    ``kind`` says what it makes of n values: "id", (n,) int64 rows of an embedding table; "ids", (n, length)
    int64 padded with PAD; "number", (n, size) float32. ``size`` is the rows of the table, the unknown's (0)
    included, or the numbers a value.
    """

    @property
    def kind(self) -> Kind: ...
    @property
    def size(self) -> int: ...
    def encode(self, values: np.ndarray) -> np.ndarray: ...


ENCODERS: Mapping[str, type[Any]] = {
    "vocabulary": categorical.Categories,
    "multi_hot": categorical.MultiHot,
    "hash": categorical.Hash,
    "one_hot": categorical.OneHot,
    "ordinal": categorical.Ordinal,
    "frequency": categorical.Frequency,
    "text": text.Text,
    "quantile": numeric.Quantile,
    "standard": numeric.Standard,
    "min_max": numeric.MinMax,
    "robust": numeric.Robust,
    "uniform": numeric.Uniform,
    "power": numeric.Power,
    "wilson": numeric.Wilson,
    "time_of_day": numeric.TimeOfDay,
    "day_of_week": numeric.DayOfWeek,
}


def encoder_class(name: str) -> type[Any]:
    """Class of encoder ``name``; FeatureError where there is none."""
    if name not in ENCODERS:
        raise FeatureError(f"there is no encoder {name!r}: it must be one of {', '.join(ENCODERS)}")
    return ENCODERS[name]


def takes(name: str, option: str) -> bool:
    """Whether encoder ``name`` has ``option``."""
    return option in inspect.signature(encoder_class(name).fit).parameters


def fit_encoder(name: str, values: np.ndarray, options: Mapping[str, Any]) -> Encoder:
    """Fit encoder ``name`` on ``values``; an option it lacks or misses is a FeatureError."""
    fit = encoder_class(name).fit
    try:
        inspect.signature(fit).bind(values, **options)
    except TypeError as error:
        raise FeatureError(f"encoder {name!r}: {error}") from error
    return cast(Encoder, fit(values, **options))


def state_of(encoder: Encoder) -> dict[str, Any]:
    """Fields of ``encoder``, JSON-able."""
    return asdict(encoder)  # type: ignore[call-overload,no-any-return]


def restore(name: str, state: Mapping[str, Any]) -> Encoder:
    """Build the encoder that `state_of` was given."""
    fields = {field: tuple(value) if isinstance(value, list) else value for field, value in state.items()}
    return cast(Encoder, encoder_class(name)(**fields))
