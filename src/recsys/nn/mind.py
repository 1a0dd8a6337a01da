"""Several interests of a user, by capsules, and the one that a label speaks to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys.inference import PADDING
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.losses import OUT
from recsys.nn.pooling import HistoryPooling, elapsed
from recsys.nn.towers import Features, id_embedding, mlp

TINY = 1e-9
"""Keeps the gradient of a length finite where it is 0."""


def n_interests(lengths: Tensor, most: int) -> Tensor:
    """How many interests histories of ``lengths`` (n,) have: log2 of them, 1 at least, ``most`` at most."""
    # The exponent is exact, where a logarithm's last digit would depend on who computed it.
    return (torch.frexp(lengths.double())[1] - 1).clamp(min=1, max=most)


def squash(capsules: Tensor) -> Tensor:
    """Vectors (..., d) of the same direction, shorter than 1."""
    square = capsules.square().sum(dim=-1, keepdim=True)
    return capsules * square / ((1 + square) * (square + TINY).sqrt())


class Mind(nn.Module):
    """Multi-interest network with dynamic routing (Li et al., CIKM 2019).

    Behaviours are routed to interests (B2I): each item gives itself to the interests that agree with it, in
    ``iterations`` rounds from drawn logits. What an item counts in it by age, place and value is learned. An
    interest then goes through layers, with how long ago the newest item was and the attributes.
    """

    routing: Tensor

    def __init__(
        self,
        n_items: int,
        embedding_dim: int,
        length: int,
        interests: int,
        iterations: int,
        attributes: GroupedEmbedding | None,
        hidden: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.iterations = iterations
        self.ids = id_embedding(n_items, embedding_dim)
        self.bilinear = nn.Linear(embedding_dim, embedding_dim, bias=False)
        nn.init.eye_(self.bilinear.weight)
        self.pooling = HistoryPooling(embedding_dim, length, "weighted", heads=1)
        self.routing = nn.Parameter(torch.randn(length, interests), requires_grad=False)
        self.attributes = attributes
        told = 2 + (attributes.width if attributes is not None else 0)
        self.layers = mlp([embedding_dim + told, *hidden, embedding_dim], dropout)

    def forward(
        self, history: Tensor, ages: Tensor, values: Tensor, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Return unit vectors of interests (batch, interests, d), and which of them a user has.

        ``history``, ``ages``, ``values`` (batch, length) are `UserTower`'s.
        """
        inside = history != PADDING
        n = inside.sum(dim=1)
        has = torch.arange(self.routing.shape[1]) < n_interests(n, self.routing.shape[1])[:, None]
        items = self.ids(history)
        importance = self.pooling.weights(items, ages, values, inside) * n[:, None, None]
        interests = self._routed(self.bilinear(items), importance, has)
        parts = [elapsed(ages[:, 0])]
        if self.attributes is not None:
            parts.append(self.attributes(features))
        told = torch.cat(parts, dim=1)[:, None].expand(-1, interests.shape[1], -1)
        moved = interests + self.layers(torch.cat([interests, told], dim=2))
        return nn.functional.normalize(moved, dim=2), has

    def items(self, rows: Tensor) -> Tensor:
        """Return unit vectors (m, d) of items, by their rows (m,)."""
        return nn.functional.normalize(self.ids(rows), dim=1)

    def _routed(self, behaviours: Tensor, importance: Tensor, has: Tensor) -> Tensor:
        logits = self.routing.expand(len(behaviours), -1, -1).masked_fill(~has[:, None], OUT)
        for round_ in range(self.iterations):
            weights = logits.softmax(dim=2) * importance  # (b, l, interests)
            capsules = squash(weights.transpose(1, 2) @ behaviours)
            if round_ < self.iterations - 1:  # how items are routed is not learned through
                logits = logits + behaviours.detach() @ capsules.detach().transpose(1, 2)
        return capsules


def label_aware(interests: Tensor, has: Tensor, items: Tensor, sharpness: float) -> Tensor:
    """Return unit vectors (b, d) of users, their ``interests`` mixed as their own ``items`` (b, d) ask.

    ``sharpness`` multiplies cosines before a softmax: the greater, the nearer to the one interest that fits.
    """
    fit = torch.einsum("bkd,bd->bk", interests, items) * sharpness
    weights = fit.masked_fill(~has, OUT).softmax(dim=1)
    return nn.functional.normalize(torch.einsum("bk,bkd->bd", weights, interests), dim=1)
