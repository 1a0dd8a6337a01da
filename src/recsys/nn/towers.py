"""Two towers: from ids, attributes and history to unit vectors that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from recsys.inference import PADDING
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.pooling import HistoryPooling, elapsed

Features = Mapping[str, Tensor]


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers from ``sizes[0]`` to ``sizes[-1]``, with ReLU and dropout between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes[:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


LARGE = 50_000
"""From so many ids on a step moves only the vectors that its batch reads (`recsys.train.optimizers`)."""


def id_embedding(n: int, embedding_dim: int, read_whole: bool = False) -> nn.Embedding:
    """Vectors of ``n`` ids, rows 1 and on, of about unit length; row 0 stays zero.

    A table that each step reads as a whole is none of the `LARGE` ones.
    """
    sparse = n >= LARGE and not read_whole
    table = nn.Embedding(n + 1, embedding_dim, padding_idx=PADDING, sparse=sparse)
    nn.init.normal_(table.weight, std=embedding_dim**-0.5)
    with torch.no_grad():
        table.weight[PADDING].zero_()
    return table


class ItemTower(nn.Module):
    """An item's id embedding, moved by what its attributes say; without attributes, the embedding alone."""

    def __init__(self, ids: nn.Embedding, attributes: GroupedEmbedding | None, hidden: Sequence[int]) -> None:
        super().__init__()
        self.ids = ids
        self.attributes = attributes
        if attributes is not None:
            self.layers = mlp([ids.embedding_dim + attributes.width, *hidden, ids.embedding_dim])

    def forward(self, items: Tensor, features: Features) -> Tensor:
        """Return unit vectors (batch, d) of ``items`` (batch,), rows of the id embedding."""
        x: Tensor = self.ids(items)
        if self.attributes is not None:
            x = x + self.layers(torch.cat([x, self.attributes(features)], dim=1))
        return nn.functional.normalize(x, dim=1)


class UserTower(nn.Module):
    """A user's pooled history, attributes and moment: a linear map of them plus what layers add.

    The item ids are the item tower's: what was liked and what is offered live in one space, and the linear
    map carries over from one to the other from the first step on.
    """

    def __init__(
        self,
        ids: nn.Embedding,
        pooling: HistoryPooling,
        attributes: GroupedEmbedding | None,
        hidden: Sequence[int],
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.ids = ids
        self.pooling = pooling
        self.attributes = attributes
        width = pooling.width + 2 + (attributes.width if attributes is not None else 0)
        self.linear = nn.Linear(width, ids.embedding_dim, bias=False)
        self.layers = mlp([width, *hidden, ids.embedding_dim], dropout)

    def forward(self, history: Tensor, ages: Tensor, values: Tensor, features: Features) -> Tensor:
        """Return unit vectors (batch, d).

        ``history`` (batch, length) are rows of the id embedding, newest first, PADDING where there is
        nothing; ``ages`` log(1 + days) and ``values`` 0 to 1 go with them.
        """
        # How long ago the newest was tells whether a session goes on or another begins.
        parts = [self.pooling(self.ids(history), ages, values, history != PADDING), elapsed(ages[:, 0])]
        if self.attributes is not None:
            parts.append(self.attributes(features))
        x = torch.cat(parts, dim=1)
        return nn.functional.normalize(self.linear(x) + self.layers(x), dim=1)


class TwoTower(nn.Module):
    """Both towers, under one roof to be trained, saved and loaded."""

    def __init__(self, user: UserTower, item: ItemTower) -> None:
        super().__init__()
        self.user = user
        self.item = item

    def forward(
        self, history: Tensor, ages: Tensor, values: Tensor, items: Tensor, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Vectors (b, d) of users and (m, d) of ``items``; ``features`` hold the columns of both."""
        return self.user(history, ages, values, features), self.item(items, features)
