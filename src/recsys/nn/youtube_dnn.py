"""A deep network over a pooled history, and a table of item vectors to be compared with what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from recsys.inference import PADDING
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.pooling import HistoryPooling, elapsed
from recsys.nn.towers import Features, id_embedding, mlp

Kind = Literal["sum", "mean", "attention", "self_attention"]


class RatedPooling(nn.Module):
    """A history's sum or mean, each item weighted by its value and ``floor``."""

    def __init__(self, embedding_dim: int, kind: Literal["sum", "mean"], floor: float) -> None:
        super().__init__()
        self.kind, self.floor, self.width = kind, floor, embedding_dim

    def weights(self, items: Tensor, ages: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """Take what `HistoryPooling.weights` does: (batch, length, 1)."""
        weights = (self.floor + values) * inside
        if self.kind == "mean":
            weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=self.floor)
        return weights[:, :, None]


class YoutubeDnn(nn.Module):
    """The candidate network of Covington et al. (RecSys 2016, section 3).

    The history pooled, its newest item, how long ago that was, how old the example is, and attributes go
    through layers; the items that come out have vectors of their own.
    """

    def __init__(
        self,
        n_items: int,
        embedding_dim: int,
        pooling: RatedPooling | HistoryPooling,
        attributes: GroupedEmbedding | None,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.ids = id_embedding(n_items, embedding_dim)
        self.outputs = id_embedding(n_items, embedding_dim)
        self.pooling = pooling
        self.attributes = attributes
        told = 3 + (attributes.width if attributes is not None else 0)
        self.layers = mlp([pooling.width + embedding_dim + told, *hidden, embedding_dim], dropout)

    def forward(
        self, history: Tensor, ages: Tensor, values: Tensor, example_ages: Tensor, features: Features
    ) -> Tensor:
        """Return unit vectors (batch, d) of users.

        ``history``, ``ages``, ``values`` (batch, length) as `UserTower`'s; ``example_ages`` (batch,).
        """
        items, inside = self.ids(history), history != PADDING
        weights = self.pooling.weights(items, ages, values, inside)
        pooled = torch.bmm(weights.transpose(1, 2), items).flatten(1)
        parts = [pooled, elapsed(ages[:, 0]), items[:, 0], example_ages[:, None]]
        if self.attributes is not None:
            parts.append(self.attributes(features))
        return nn.functional.normalize(self.layers(torch.cat(parts, dim=1)), dim=1)

    def items(self, rows: Tensor) -> Tensor:
        """Return unit vectors (m, d) of items, by their rows (m,)."""
        return nn.functional.normalize(self.outputs(rows), dim=1)
