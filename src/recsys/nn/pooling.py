"""From a history of item vectors to one vector of the user."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recsys.features.history import DAY_LOG, YEAR_LOG
from recsys.types import DAY

Kind = Literal["mean", "weighted", "attention", "self_attention"]
OUTSIDE = -1e9
"""Logit of a padded place: finite, since a history may be nothing but padding."""


def elapsed(ages: Tensor) -> Tensor:
    """Give ``ages``, log(1 + days), (...,) also as log(1 + seconds), both scaled to about 1: (..., 2).

    Days tell weeks apart; within a session it is seconds that count.
    """
    seconds = torch.log1p(torch.expm1(ages) * DAY)
    return torch.stack([ages / YEAR_LOG, seconds / (YEAR_LOG + DAY_LOG)], dim=-1)


class HistoryPooling(nn.Module):
    """Several weighted means of a history, side by side.

    Each of ``heads`` weighs the items by a softmax over their places. ``mean`` weighs all the same (one
    head); ``weighted`` learns what recency rank, age and rating are worth; ``attention`` looks at the items
    too (additive attention with a learned query, Yang et al., NAACL 2016); in ``self_attention`` each item
    looks at all (Vaswani et al., NeurIPS 2017) and what they see is averaged: values need no weights of their
    own there, the layer that follows has them. Heads start with different horizons: one follows the session,
    another remembers the taste.
    """

    def __init__(self, embedding_dim: int, length: int, kind: Kind = "weighted", heads: int = 3) -> None:
        super().__init__()
        self.kind = kind
        self.heads = 1 if kind == "mean" else heads
        self.width = self.heads * embedding_dim
        if kind != "mean":
            slopes = torch.linspace(0, 0.5, self.heads)
            self.recency = nn.Parameter(-slopes * torch.arange(length)[:, None])  # (length, heads)
            self.told = nn.Linear(3, self.heads, bias=False)
            nn.init.zeros_(self.told.weight)
        if kind == "attention":
            self.hidden = nn.Linear(embedding_dim, embedding_dim)
            self.query = nn.Linear(embedding_dim, self.heads, bias=False)
            nn.init.zeros_(self.query.weight)
        if kind == "self_attention":
            size = -(-embedding_dim // self.heads)
            self.key = nn.Linear(embedding_dim, self.heads * size, bias=False)
            self.query = nn.Linear(embedding_dim, self.heads * size, bias=False)
            nn.init.zeros_(self.query.weight)

    def forward(self, items: Tensor, ages: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """Pool ``items`` (batch, length, d), newest first, to (batch, heads * d).

        ``ages`` log(1 + days), ``values`` 0 to 1, ``inside`` False on padding: (batch, length) each. An
        empty history gives zeros.
        """
        weights = self.weights(items, ages, values, inside)
        return torch.bmm(weights.transpose(1, 2), items).flatten(1)

    def weights(self, items: Tensor, ages: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """What each head gives to each place: (batch, length, heads), adding up to 1 over a history."""
        logits = self._logits(items, ages, values).masked_fill(~inside[:, :, None], OUTSIDE)
        if self.kind == "self_attention":
            return self._seen(items, logits, inside)
        return logits.softmax(dim=1) * inside[:, :, None]

    def _seen(self, items: Tensor, logits: Tensor, inside: Tensor) -> Tensor:
        """How much the items look at each place, ``logits`` telling what it is worth whoever looks."""
        keys, queries = (each(items).unflatten(2, (self.heads, -1)) for each in (self.key, self.query))
        pairs = torch.einsum("bihd,bjhd->bhij", queries, keys) / keys.shape[3] ** 0.5
        seen = (pairs + logits.transpose(1, 2)[:, :, None]).softmax(dim=3)  # (batch, heads, by, place)
        mean = inside / inside.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.einsum("bhij,bi->bjh", seen, mean) * inside[:, :, None]

    def _logits(self, items: Tensor, ages: Tensor, values: Tensor) -> Tensor:
        if self.kind == "mean":
            return torch.zeros_like(ages)[:, :, None]
        logits: Tensor = self.recency + self.told(torch.cat([elapsed(ages), values[:, :, None]], dim=2))
        if self.kind == "attention":
            logits = logits + self.query(self.hidden(items).tanh())
        return logits
