"""What of a history speaks to each candidate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.nn.pooling import OUTSIDE, elapsed


class TargetAttention(nn.Module):
    """Weighted means of a history, weighed anew for each candidate (as by DIN, Zhou et al., KDD 2018).

    In each of ``heads`` a place's logit is the product of the candidate's query and the item's key, and what
    recency rank, age and rating are worth. A product, not the paper's network of both: it is one for all
    places at once. As there, how much of a history speaks at all is not normalised away: beside the mean of
    keys and ratings stands the logarithm of the weights' sum.
    """

    def __init__(self, d_item: int, embedding_dim: int, length: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = embedding_dim**-0.5
        self.query = nn.Linear(d_item, heads * embedding_dim, bias=False)
        self.key = nn.Linear(d_item, embedding_dim, bias=False)
        slopes = torch.linspace(0, 0.5, heads)
        self.recency = nn.Parameter(-slopes * torch.arange(length)[:, None])  # (length, heads)
        self.told = nn.Linear(3, heads, bias=False)
        nn.init.zeros_(self.told.weight)
        self.out = nn.Linear(heads * (embedding_dim + 2), embedding_dim)

    def forward(
        self, candidates: Tensor, items: Tensor, ages: Tensor, values: Tensor, inside: Tensor
    ) -> Tensor:
        """Map ``candidates`` (b, k, d_item) to (b, k, embedding_dim).

        ``items`` (b, length, d_item) are the history, newest first; ``ages`` log(1 + days), ``values`` 0 to 1
        and ``inside`` False on padding, (b, length) each. An empty history gives what zeros would.
        """
        b, k, _ = candidates.shape
        keys = self.key(items)
        told = self.told(torch.cat([elapsed(ages), values[:, :, None]], dim=2)) + self.recency
        queries = self.query(candidates).view(b, k, self.heads, -1)
        logits = torch.einsum("bkhd,bld->bkhl", queries, keys) * self.scale
        logits = logits + told.transpose(1, 2)[:, None]
        logits = logits.masked_fill(~inside[:, None, None], OUTSIDE)
        total = logits.logsumexp(dim=3, keepdim=True)
        weights = (logits - total).exp() * inside[:, None, None]
        means = torch.einsum("bkhl,bld->bkhd", weights, torch.cat([keys, values[:, :, None]], dim=2))
        spoken = torch.where(inside.any(dim=1)[:, None, None, None], total, 0)
        attended: Tensor = self.out(torch.cat([means, spoken], dim=3).flatten(2))
        return attended
