"""Encoders of numbers. A missing one stands at the fitted median, or in row 0 where numbers become ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numba import njit

from recsys.features.categorical import UNKNOWN, Kind
from recsys.features.values import FeatureError, numbers
from recsys.types import DAY

HOUR = 3_600
"""Seconds."""


def _present(values: np.ndarray) -> np.ndarray:
    """Drop what is missing; a single 0 where nothing is left, so that every fit has a number to stand on."""
    x = numbers(values)
    x = x[~np.isnan(x)]
    return x if len(x) else np.zeros(1)


def _column(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32)[:, None]


def _or_one(scale: float) -> float:
    """Leave a constant column centred: it cannot be scaled."""
    return float(scale) if scale > 0 else 1.0


@dataclass(frozen=True)
class Quantile:
    """Buckets of equal counts, each with an embedding row. Option: ``buckets``; ties may leave fewer."""

    edges: tuple[float, ...]
    kind: ClassVar[Kind] = "id"

    @classmethod
    def fit(cls, values: np.ndarray, *, buckets: int = 10) -> Self:
        if buckets < 2:
            raise FeatureError(f"buckets must be at least 2, not {buckets}")
        cuts = np.quantile(_present(values), np.arange(1, buckets) / buckets)
        return cls(tuple(np.unique(cuts).tolist()))

    @property
    def size(self) -> int:
        return len(self.edges) + 2

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Row numbers, (n,) int64."""
        x = numbers(values)
        return np.where(np.isnan(x), UNKNOWN, np.searchsorted(self.edges, x, side="right") + 1)


@dataclass(frozen=True)
class _Scaled:
    """``(x - center) / scale``, held within ``low`` and ``high``."""

    center: float
    scale: float
    missing: float
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32."""
        x = numbers(values)
        return _column((np.where(np.isnan(x), self.missing, x) - self.center) / self.scale)


class Standard(_Scaled):
    """Mean 0 and standard deviation 1."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        x = _present(values)
        return cls(float(x.mean()), _or_one(x.std()), float(np.median(x)))


class Robust(_Scaled):
    """Median 0 and interquartile range 1."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        low, median, high = np.quantile(_present(values), [0.25, 0.5, 0.75]).tolist()
        return cls(median, _or_one(high - low), median)


class MinMax(_Scaled):
    """Smallest 0 and largest 1; what lies beyond at serving is held there."""

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        x = _present(values)
        return cls(float(x.min()), _or_one(x.max() - x.min()), float(np.median(x)))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32 in [0, 1]."""
        return super().encode(values).clip(0, 1)


@dataclass(frozen=True)
class Uniform:
    """Where a value stands among those of train: evenly spread from -1 to 1, whatever the distribution was.

    Unlike `Quantile` it keeps the order within a bucket and needs no embedding row. Option: ``buckets``.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    missing: float
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def fit(cls, values: np.ndarray, *, buckets: int = 64) -> Self:
        x = _present(values)
        cuts = np.quantile(x, np.linspace(0, 1, buckets + 1))
        edges, first, counts = np.unique(cuts, return_index=True, return_counts=True)
        middles = (first + (counts - 1) / 2) / buckets  # a value that fills several buckets stands amid them
        return cls(tuple(edges.tolist()), tuple((2 * middles - 1).tolist()), float(np.median(x)))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32 in [-1, 1]."""
        return NumberBlock([self], [0]).encode(numbers(values)[None]).T


class NumberBlock:
    """`Standard`, `Robust` and `Uniform` columns encoded together, for one call of many.

    Column ``i`` reads row ``source_of[i]`` of the values.
    """

    def __init__(self, encoders: Sequence[_Scaled | Uniform], source_of: Sequence[int]) -> None:
        uniform = [encoder for encoder in encoders if isinstance(encoder, Uniform)]
        width = max((len(encoder.edges) for encoder in uniform), default=0)
        self.source_of = np.array(source_of, dtype=np.int64)
        self.missing = np.array([encoder.missing for encoder in encoders])
        self.center, self.scale = np.zeros(len(encoders)), np.ones(len(encoders))
        self.n_edges = np.zeros(len(encoders), dtype=np.int64)
        self.edges = np.full((len(encoders), width), np.inf)
        self.shares, self.slopes = np.zeros((2, len(encoders), width))
        for column, encoder in enumerate(encoders):
            if isinstance(encoder, Uniform):
                self.n_edges[column] = n = len(encoder.edges)
                self.edges[column, :n], self.shares[column, :n] = encoder.edges, encoder.shares
                self.slopes[column, : n - 1] = np.diff(encoder.shares) / np.diff(encoder.edges)
            else:
                self.center[column], self.scale[column] = encoder.center, encoder.scale

    def encode(self, values: np.ndarray) -> np.ndarray:
        """``values`` (sources, n) to (columns, n) float32, as each encoder would."""
        encoded = np.empty((len(self.source_of), values.shape[1]), dtype=np.float32)
        spread = self.edges, self.shares, self.slopes, self.n_edges
        _encode(values, self.source_of, self.missing, self.center, self.scale, *spread, encoded)
        return encoded


@njit(nogil=True, cache=True)
def _encode(  # type: ignore[no-untyped-def]
    values, source_of, missing, center, scale, edges, shares, slopes, n_edges, encoded
):
    n = values.shape[1]
    x, low = np.empty(n), np.empty(n, dtype=np.int32)
    for column in range(len(source_of)):
        for row in range(n):
            value = np.float64(values[source_of[column], row])
            x[row] = value if np.isfinite(value) else missing[column]
        last = n_edges[column] - 1
        if last < 0:
            for row in range(n):
                encoded[column, row] = (x[row] - center[column]) / scale[column]
        else:
            _spread(x, edges[column, : last + 1], shares[column], slopes[column], low, encoded[column])


@njit(nogil=True, cache=True)
def _spread(x, knots, shares, slopes, low, encoded):  # type: ignore[no-untyped-def]
    """Knot by knot, each compared with many values at once: a search's branches cannot be guessed."""
    for row in range(len(x)):
        x[row] = min(max(x[row], knots[0]), knots[-1])
        low[row] = -1
    for knot in knots:
        for row in range(len(x)):
            low[row] += np.int32(knot <= x[row])
    for row in range(len(x)):
        encoded[row] = shares[low[row]] + slopes[low[row]] * (x[row] - knots[low[row]])


@dataclass(frozen=True)
class Power:
    """Yeo-Johnson power transform (Biometrika 2000) towards a normal distribution, then standardised."""

    exponent: float
    center: float
    scale: float
    missing: float
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def fit(cls, values: np.ndarray) -> Self:
        from scipy.stats import yeojohnson_normmax  # serving never fits: half a second of import saved

        x = _present(values)
        exponent = float(yeojohnson_normmax(x)) if np.ptp(x) > 0 else 1.0
        y = yeo_johnson(x, exponent)
        return cls(exponent, float(y.mean()), _or_one(y.std()), float(np.median(x)))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """(n, 1) float32."""
        x = numbers(values)
        x = np.where(np.isnan(x), self.missing, x)
        return _column((yeo_johnson(x, self.exponent) - self.center) / self.scale)


def yeo_johnson(x: np.ndarray, exponent: float) -> np.ndarray:
    """Yeo-Johnson of ``x`` with ``exponent`` (lambda)."""
    size = np.log1p(np.abs(x))
    up, down = _box_cox(size, exponent), -_box_cox(size, 2 - exponent)
    return np.where(x >= 0, up, down)


def _box_cox(log_x: np.ndarray, exponent: float) -> np.ndarray:
    """``(x ** exponent - 1) / exponent`` and its limit, the logarithm."""
    return log_x if abs(exponent) < 1e-12 else np.expm1(exponent * log_x) / exponent


Bound = Literal["lower", "upper", "centre"]


@dataclass(frozen=True)
class Wilson:
    """Wilson score interval (JASA 1927) of a rate: k of n, read from two columns.

    Options: ``source`` (k) and ``trials`` (n) name the columns; ``bound``: lower, upper or centre; ``z``.
    Nothing tried, or a number missing, is k = n = 0: the interval is then [0, 1]. k beyond n counts as n.
    """

    bound: Bound
    z: float
    kind: ClassVar[Kind] = "number"
    size: ClassVar[int] = 1

    @classmethod
    def fit(cls, values: np.ndarray, *, bound: Bound = "lower", z: float = 1.96) -> Self:
        if bound not in ("lower", "upper", "centre"):
            raise FeatureError(f"bound must be lower, upper or centre, not {bound!r}")
        return cls(bound, float(z))

    def encode(self, values: np.ndarray) -> np.ndarray:
        """``values`` (n, 2) of k and n to (n, 1) float32 in [0, 1]."""
        x = numbers(values)
        k, n = np.where(np.isnan(x).any(axis=1), 0, x.T)
        return _column(wilson(k, n, self.bound, self.z))


def wilson(k: np.ndarray, n: np.ndarray, bound: Bound = "lower", z: float = 1.96) -> np.ndarray:
    """Bound of the Wilson interval of ``k`` of ``n``, elementwise, float64."""
    n = np.maximum(n, 0)
    k = np.clip(k, 0, n)
    spread = np.divide(k * (n - k), n, out=np.zeros(np.shape(n)), where=n > 0)
    half: np.ndarray = z * np.sqrt(spread + z * z / 4)
    sign = {"lower": -1, "upper": 1, "centre": 0}[bound]
    bounds: np.ndarray = (k + z * z / 2 + sign * half) / (n + z * z)
    return bounds.clip(0, 1)


@dataclass(frozen=True)
class _Clock:
    """Place in a cycle of ``period`` seconds, from unix seconds."""

    buckets: int
    cyclic: bool
    offset: float
    period: ClassVar[int]
    origin: ClassVar[int]
    """What the epoch's moment is in the cycle, in seconds."""

    @property
    def kind(self) -> Kind:
        return "number" if self.cyclic else "id"

    @property
    def size(self) -> int:
        return 2 if self.cyclic else self.buckets + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Rows of the buckets, (n,) int64; if cyclic, sine and cosine, (n, 2) float32, 0 where missing."""
        shift = self.origin + self.offset
        if not self.cyclic:
            rows = np.empty(len(values), dtype=np.int64)
            _buckets(values.astype(np.float64), shift, self.period, self.buckets, rows)
            return rows
        turn = (numbers(values) + shift) % self.period / self.period
        waves: tuple[Callable[[np.ndarray], np.ndarray], ...] = (np.sin, np.cos)
        return np.nan_to_num(
            np.column_stack([wave(2 * np.pi * turn) for wave in waves]).astype(np.float32), nan=0
        )


@njit(nogil=True, cache=True)
def _buckets(moments, shift, period, buckets, rows):  # type: ignore[no-untyped-def]
    for row in range(len(moments)):
        known = np.isfinite(moments[row])
        turn = (moments[row] + shift) % period / period if known else 0.0
        rows[row] = np.int64(turn * buckets) + 1 if known else UNKNOWN


class TimeOfDay(_Clock):
    """Time of the day. Options: ``buckets``, ``cyclic`` (sine and cosine), ``utc_offset`` in hours."""

    period = DAY
    origin = 0

    @classmethod
    def fit(
        cls, values: np.ndarray, *, buckets: int = 24, cyclic: bool = False, utc_offset: float = 0
    ) -> Self:
        return cls(buckets, cyclic, utc_offset * HOUR)


class DayOfWeek(_Clock):
    """Day of the week, Monday first. Options: ``cyclic``, ``utc_offset`` in hours."""

    period = 7 * DAY
    origin = 3 * DAY  # the epoch was a Thursday

    @classmethod
    def fit(cls, values: np.ndarray, *, cyclic: bool = False, utc_offset: float = 0) -> Self:
        return cls(7, cyclic, utc_offset * HOUR)
