"""From a FeatureSpec's arrays to a tower's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from recsys.features.spec import FeatureSpec, FittedColumn
from recsys.inference import table_name
from recsys.types import PAD


class GroupedEmbedding(nn.Module):
    """Embeds every column of a spec, sums within attribute groups, concatenates the groups.

    Ids look up a table, lists of ids average theirs without the padding, numbers go through a linear layer:
    each column becomes (batch, embedding_dim). Columns of one ``share`` have one table, also across modules
    where ``shared`` is another GroupedEmbedding that already has it. A spec without columns is a ValueError.
    """

    def __init__(self, spec: FeatureSpec, embedding_dim: int, shared: GroupedEmbedding | None = None) -> None:
        super().__init__()
        if not spec.columns:
            raise ValueError("a FeatureSpec without columns embeds nothing")
        self.spec = spec
        self.embedding_dim = embedding_dim
        self._groups = {
            group: [column for column in spec.columns if column.group == group] for group in spec.groups
        }
        self.tables = nn.ModuleDict()
        for column in spec.columns:
            key = table_name(column)
            if shared is not None and key in shared.tables:
                self.tables[key] = shared.tables[key]
            elif key not in self.tables:
                self.tables[key] = _table(column, embedding_dim)

    @property
    def width(self) -> int:
        """Of the output."""
        return len(self.spec.groups) * self.embedding_dim

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Map ``FeatureSpec.encode``'s arrays, as tensors, to (batch, groups * embedding_dim)."""
        return torch.cat([self._sum(members, features) for members in self._groups.values()], dim=1)

    def _sum(self, members: Sequence[FittedColumn], features: Mapping[str, Tensor]) -> Tensor:
        numbers = [column for column in members if column.encoder.kind == "number"]
        parts = [self._embed(column, features[column.name]) for column in members if column not in numbers]
        if numbers:
            parts.append(self._embed_numbers(numbers, features))
        return torch.stack(parts).sum(dim=0)

    def _embed_numbers(self, numbers: Sequence[FittedColumn], features: Mapping[str, Tensor]) -> Tensor:
        """Sum of the columns' linear layers, by one product."""
        keys = [table_name(column) for column in numbers]
        values = torch.cat([features[column.name] for column in numbers], dim=1)
        weight = torch.cat([self.tables.get_parameter(f"{key}.weight") for key in keys], dim=1)
        bias = torch.stack([self.tables.get_parameter(f"{key}.bias") for key in keys]).sum(dim=0)
        return nn.functional.linear(values, weight, bias)

    def _embed(self, column: FittedColumn, values: Tensor) -> Tensor:
        table = self.tables[table_name(column)]
        if column.encoder.kind == "id":
            return table(values)  # type: ignore[no-any-return]
        inside = (values != PAD).unsqueeze(-1)
        rows = table(values.clamp(min=0)) * inside  # (b, length, d)
        return rows.sum(dim=1) / inside.sum(dim=1).clamp(min=1)  # type: ignore[no-any-return]


def _table(column: FittedColumn, embedding_dim: int) -> nn.Module:
    """Vectors of about unit length, whatever the column; the unknown says nothing until it has learned to."""
    std = embedding_dim**-0.5
    if column.encoder.kind == "number":
        linear = nn.Linear(column.encoder.size, embedding_dim)
        nn.init.normal_(linear.weight, std=std)
        nn.init.zeros_(linear.bias)
        return linear
    table = nn.Embedding(column.encoder.size, embedding_dim)
    nn.init.normal_(table.weight, std=std)
    with torch.no_grad():
        table.weight[0].zero_()
    return table
