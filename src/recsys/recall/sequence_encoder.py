"""The sequence model in numpy: what users' vectors take, and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.inference import Weights, layers, within
from recsys.recall.sequence_inputs import History

NORM_EPSILON = 1e-5
"""torch's."""


@dataclass(frozen=True)
class SequenceEncoder:
    """`recsys.nn.sequence.NextItem`, for one user after the other.

    A batch would save little and add up in another order.
    """

    weights: Weights
    blocks: Sequence[_Block]

    @classmethod
    def of(cls, weights: Weights, blocks: int, heads: int) -> Self:
        return cls(weights, [_Block.of(within(weights, f"blocks.{n}"), heads) for n in range(blocks)])

    def vector(self, history: History) -> np.ndarray:
        """What is expected next, (d,) float32."""
        tables = self.weights
        x = tables["ids.weight"][history.ids] + tables["gaps.weight"][history.gaps]
        x += history.values[:, None] * tables["values.weight"][:, 0] + tables["values.bias"]
        *own, last = self.blocks
        for block in own:
            x = block(x, x, history.between)
        asking = x[-1:] + tables["waits.weight"][history.since[-1:]]
        asking += history.age * tables["ages.weight"][:, 0] + tables["ages.bias"]
        asking = last(asking, x, history.since[None])
        return np.asarray(_normed(asking, tables["after.weight"], tables["after.bias"])[0])


@dataclass(frozen=True)
class _Block:
    heads: int
    norms: Weights
    asks: tuple[np.ndarray, np.ndarray]
    tells: tuple[np.ndarray, np.ndarray]
    out: tuple[np.ndarray, np.ndarray]
    places: np.ndarray
    gaps: np.ndarray
    layers: Sequence[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, weights: Weights, heads: int) -> Self:
        def linear(name: str) -> tuple[np.ndarray, np.ndarray]:
            weight = weights[f"attention.{name}.weight"]
            return np.ascontiguousarray(weight.T), weights[f"attention.{name}.bias"]

        return cls(
            heads=heads,
            norms={name: each for name, each in weights.items() if name.startswith(("before", "between"))},
            asks=linear("asks"),
            tells=linear("tells"),
            out=linear("out"),
            places=weights["attention.places.weight"],
            gaps=weights["attention.gaps.weight"],
            layers=layers(within(weights, "layers")),
        )

    def __call__(self, asking: np.ndarray, told: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        """Let the last places, ``asking`` (m, d), read ``told`` (l, d); ``gaps`` (m, l) between the two."""
        x = asking + self._attention(self._norm(asking, "before"), self._norm(told, "before"), gaps)
        (weight, bias), (weight2, bias2) = self.layers
        hidden = self._norm(x, "between") @ weight + bias
        return np.asarray(x + (np.maximum(hidden, 0, out=hidden) @ weight2 + bias2))

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return _normed(x, self.norms[f"{name}.weight"], self.norms[f"{name}.bias"])

    def _attention(self, asking: np.ndarray, told: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        m, length = gaps.shape
        queries = (asking @ self.asks[0] + self.asks[1]).reshape(m, self.heads, -1).transpose(1, 0, 2)
        keys, values = np.split(told @ self.tells[0] + self.tells[1], 2, axis=1)
        keys = keys.reshape(length, self.heads, -1).transpose(1, 2, 0)
        values = values.reshape(length, self.heads, -1).transpose(1, 0, 2)
        logits = queries @ keys / np.float32(np.sqrt(keys.shape[1]))  # (h, m, l)
        steps = np.arange(length - m, length)[:, None] - np.arange(length)
        logits += (self.places[np.maximum(steps, 0)] + self.gaps[gaps]).transpose(2, 0, 1)
        logits[:, steps < 0] = -np.inf
        logits -= logits.max(axis=2, keepdims=True)
        weights = np.exp(logits, out=logits)
        weights /= weights.sum(axis=2, keepdims=True)
        read = (weights @ values).transpose(1, 0, 2).reshape(m, -1)
        return np.asarray(read @ self.out[0] + self.out[1])


def _normed(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`torch.nn.LayerNorm` over the last axis."""
    x = x - x.mean(axis=1, keepdims=True)
    variance = np.einsum("nd,nd->n", x, x)[:, None] / x.shape[1]
    return np.asarray(x / np.sqrt(variance + NORM_EPSILON) * weight + bias, dtype=np.float32)
