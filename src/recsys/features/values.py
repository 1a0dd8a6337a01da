"""Raw columns as encoders read them: texts for categories, finite numbers for the rest.

One rule of reading for training and serving: ``1995``, ``1995.0`` and ``"1995"`` are one category, however a
file or a request happens to type them; None, NaN, NaT and pandas' NA are all "missing".
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:  # whoever only answers requests meets no DataFrame
    import pandas as pd

Frame: TypeAlias = "Mapping[str, Any] | pd.DataFrame"
"""Columns by name: a DataFrame, or arrays (or lists) of one length."""


class FeatureError(Exception):
    """A column, an encoder or an option is not what it should be; the message names it."""


def read(frame: Frame, name: str) -> np.ndarray:
    """Column ``name`` of ``frame`` as an array; FeatureError where there is none."""
    if name not in frame:
        raise FeatureError(f"column {name!r} is missing from the frame, which has {sorted(map(str, frame))}")
    column = frame[name]
    if isinstance(column, np.ndarray):
        return column
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(column, pandas.Series):
        if not pandas.api.types.is_numeric_dtype(column):
            return np.asarray(column.to_numpy(dtype=object))
        nullable = not isinstance(column.dtype, np.dtype)
        return np.asarray(
            column.to_numpy(dtype=np.float64, na_value=np.nan) if nullable else column.to_numpy()
        )
    # Not np.array: lists of labels that happen to be equally long would become a matrix.
    return np.fromiter(column, dtype=object, count=len(column))


def texts(values: np.ndarray) -> list[str | None]:
    """Each value's category, None where missing."""
    if values.dtype.kind in "Uiub":
        return list(map(str, values.tolist()))
    return [value if type(value) is str else _text(value) for value in values.tolist()]


def labels(values: np.ndarray) -> list[list[str]]:
    """Each row's categories in the order given; [] where missing. A bare value is a list of one."""
    return [_row_texts(value) if _is_row(value) else _row_texts([value]) for value in values.tolist()]


def multi_label(values: np.ndarray) -> bool:
    """Whether any row is a list of categories."""
    return values.ndim == 2 or (values.dtype.kind == "O" and any(map(_is_row, values.tolist())))


def numbers(values: np.ndarray) -> np.ndarray:
    """float64, NaN where missing or infinite; ValueError where a value is no number."""
    x = values.astype(np.float64)
    return np.where(np.isfinite(x), x, np.nan)


def _missing(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return value is None or (pandas is not None and value is pandas.NA) or bool(value != value)


def _is_row(value: object) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _row_texts(row: Iterable[object]) -> list[str]:
    return [text for value in row if (text := _text(value)) is not None]


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if _is_row(value):
        raise TypeError(f"a list, {value}, where one value is expected")
    if _missing(value):
        return None
    if isinstance(value, (float, np.floating)):
        # float32 is what storage may have made of it; whole numbers keep all their digits.
        return str(int(value)) if value == np.trunc(value) and np.isfinite(value) else str(np.float32(value))
    return str(value)


def padded(rows: Sequence[Sequence[int]], length: int, fill: int) -> np.ndarray:
    """Ragged ``rows`` as (n, length) int64: longer ones cut, shorter ones filled."""
    lengths = np.minimum(np.fromiter(map(len, rows), np.int64, len(rows)), length)
    out = np.full((len(rows), length), fill, dtype=np.int64)
    cut = (row[:length] for row in rows)
    out[np.arange(length) < lengths[:, None]] = np.fromiter((each for row in cut for each in row), np.int64)
    return out
