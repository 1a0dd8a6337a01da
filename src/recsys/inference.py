"""Trained networks in numpy: what answers a request has no torch, and no more to load than the weights.

A batch equals one by one: nothing here depends on how many rows there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from recsys.artifacts import ArtifactError, replacing
from recsys.features.categorical import Kind
from recsys.features.spec import FeatureSpec, FittedColumn
from recsys.types import PAD

Arrays = Mapping[str, np.ndarray]
Weights = Mapping[str, np.ndarray]
"""A network's parameters by the names torch gave them."""
FINGERPRINT = "fingerprint"
PADDING = 0
"""Row of an id embedding that stands for no item, and for one that training has not met."""


def save_weights(path: Path, weights: Weights, fingerprint: str) -> None:
    """Write ``weights`` with the ``fingerprint`` of the spec that they belong to."""
    with replacing(path) as temporary:
        save_file(dict(weights), temporary, {FINGERPRINT: fingerprint})


def load_weights(path: Path, fingerprint: str) -> dict[str, np.ndarray]:
    """Read what `save_weights` wrote; ArtifactError where it is damaged or of another spec."""
    try:
        with safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get(FINGERPRINT) != fingerprint:
                raise ArtifactError(f"{path}: these weights belong to another FeatureSpec")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(f"{path}: cannot be read as weights ({error})") from error


def within(weights: Weights, module: str) -> dict[str, np.ndarray]:
    """Weights of the part called ``module``."""
    return {
        name.removeprefix(f"{module}."): each
        for name, each in weights.items()
        if name.startswith(f"{module}.")
    }


def table_name(column: FittedColumn) -> str:
    """Name of a column's embedding table in a network.

    A module's name may hold no dot, nor be an attribute that modules have already ("type").
    """
    return "column_" + column.column.table.replace(".", "/")


def layers(weights: Weights) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weight (d_in, d_out) and bias (d_out,) of each linear layer of an `mlp`, in their order."""
    numbers = sorted(int(name.removesuffix(".weight")) for name in weights if name.endswith(".weight"))
    return [(np.ascontiguousarray(weights[f"{n}.weight"].T), weights[f"{n}.bias"]) for n in numbers]


def row_by_row(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``x`` (n, d) @ ``weight``, a product a row: BLAS adds up in another order for more rows at once."""
    return np.asarray((x[:, None] @ weight)[:, 0])


def mlp(x: np.ndarray, linear: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Send ``x`` (n, d_in) through ``linear`` layers with ReLU between them."""
    for number, (weight, bias) in enumerate(linear):
        x = row_by_row(np.maximum(x, 0) if number else x, weight) + bias
    return x


class GroupedEmbedding:
    """`recsys.nn.embedding.GroupedEmbedding`, its columns summed within their groups."""

    def __init__(self, spec: FeatureSpec, weights: Weights) -> None:
        tables = within(weights, "tables")
        self.groups = [
            _Group([column for column in spec.columns if column.group == group], tables)
            for group in spec.groups
        ]

    def __call__(self, features: Arrays) -> np.ndarray:
        """Map `FeatureSpec.encode`'s arrays of n rows to (n, groups * embedding_dim) float32."""
        return np.concatenate([group(features) for group in self.groups], axis=1)


class _Group:
    def __init__(self, members: Sequence[FittedColumn], tables: Weights) -> None:
        numbers = [column for column in members if column.encoder.kind == "number"]
        self.numbers = [column.name for column in numbers]
        if numbers:
            self.weight = np.concatenate([tables[f"{table_name(each)}.weight"].T for each in numbers])
            self.bias = np.sum([tables[f"{table_name(each)}.bias"] for each in numbers], axis=0)
        self.lookups = [
            (each.name, each.encoder.kind, tables[f"{table_name(each)}.weight"])
            for each in members
            if each not in numbers
        ]

    def __call__(self, features: Arrays) -> np.ndarray:
        parts = [_looked_up(table, features[name], kind) for name, kind, table in self.lookups]
        if self.numbers:
            values = np.concatenate([features[name] for name in self.numbers], axis=1)
            parts.append(row_by_row(values, self.weight) + self.bias)
        return reduce(np.add, parts)


def _looked_up(table: np.ndarray, values: np.ndarray, kind: Kind) -> np.ndarray:
    """Row of each id; of lists of ids (n, length), the mean without the padding."""
    if kind == "id":
        return np.take(table, values, axis=0)
    inside = values != PAD
    rows = table[np.where(inside, values, 0)] * inside[:, :, None]
    mean: np.ndarray = rows.sum(axis=1) / np.maximum(inside.sum(axis=1, keepdims=True), 1)
    return mean.astype(table.dtype)
