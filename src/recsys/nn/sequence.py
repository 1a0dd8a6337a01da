"""What comes next in a sequence: self-attention over what was met, and a request that asks it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recsys.features.gaps import N_GAPS
from recsys.nn.losses import OUT
from recsys.nn.towers import id_embedding, mlp


class Attention(nn.Module):
    """Scaled dot products, moved by how many places and how much time lie between the two."""

    def __init__(self, embedding_dim: int, heads: int, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.asks = nn.Linear(embedding_dim, embedding_dim)
        self.tells = nn.Linear(embedding_dim, 2 * embedding_dim)
        self.out = nn.Linear(embedding_dim, embedding_dim)
        self.places = nn.Embedding(length, heads)
        self.gaps = nn.Embedding(N_GAPS, heads)
        for table in (self.places, self.gaps):
            nn.init.zeros_(table.weight)

    def forward(self, asking: Tensor, told: Tensor, gaps: Tensor, inside: Tensor) -> Tensor:
        """Let each place of ``asking`` (b, l, d) read ``told`` (b, l, d) where ``inside`` (b, l, l).

        ``gaps`` (b, l, l) are buckets of the time between the two.
        """
        batch, length, d = asking.shape
        shape = batch, length, self.heads, -1
        queries = self.asks(asking).view(shape).transpose(1, 2) * (d // self.heads) ** -0.5  # (b, h, l, d/h)
        keys, values = (each.view(shape).transpose(1, 2) for each in self.tells(told).chunk(2, dim=2))
        logits = queries @ keys.transpose(2, 3) + self._between(gaps)
        weights = logits.masked_fill(~inside[:, None], OUT).softmax(dim=3)
        read = (weights @ values).transpose(1, 2).reshape(batch, length, d)
        return self.out(read)  # type: ignore[no-any-return]

    def _between(self, gaps: Tensor) -> Tensor:
        places = torch.arange(gaps.shape[1], device=gaps.device)
        steps = (places[:, None] - places).clamp(min=0)  # later places are outside anyway
        by_time: Tensor = _Looked.apply(self.gaps.weight, gaps)  # type: ignore[no-untyped-call]
        by_place: Tensor = self.places(steps).permute(2, 0, 1)
        return by_place + by_time


class _Looked(torch.autograd.Function):
    """A look-up in a ``table`` (m, h) of few rows at many places (b, l, l): (b, h, l, l).

    torch's own adds gradients up place by place, which took a quarter of all training.
    """

    @staticmethod
    def forward(ctx, table, rows):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(rows)
        ctx.n = len(table)
        return torch.stack([column.contiguous()[rows] for column in table.T], dim=1)

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        rows = ctx.saved_tensors[0].flatten()
        sums = [torch.bincount(rows, each.flatten(), ctx.n) for each in gradient.unbind(dim=1)]
        return torch.stack(sums, dim=1), None


class Block(nn.Module):
    """Attention and a small network of each place, both added to what comes in and normed before."""

    def __init__(self, embedding_dim: int, heads: int, length: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.LayerNorm(embedding_dim)
        self.attention = Attention(embedding_dim, heads, length)
        self.between = nn.LayerNorm(embedding_dim)
        self.layers = mlp([embedding_dim, 2 * embedding_dim, embedding_dim])
        self.dropout = nn.Dropout(dropout)

    def forward(self, asking: Tensor, told: Tensor, gaps: Tensor, inside: Tensor) -> Tensor:
        """Shapes as `Attention`'s."""
        x = asking + self.dropout(self.attention(self.before(asking), self.before(told), gaps, inside))
        return x + self.dropout(self.layers(self.between(x)))  # type: ignore[no-any-return]


class NextItem(nn.Module):
    """A self-attentive next-item model (SASRec, Kang & McAuley, ICDM 2018) that is told the time.

    An item's place holds its id, its value and how long it came after the one before. All blocks but the
    last are self-attention. In the last, a request reads them: the newest item's place, how long ago that
    was, and how old the request itself is (the example age of Covington et al., RecSys 2016).
    Where items stand is told by places and gaps between them alone, so a sequence may be cut anywhere.
    """

    def __init__(
        self, n_items: int, embedding_dim: int, length: int, blocks: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.ids = id_embedding(n_items, embedding_dim, read_whole=True)  # by the softmax over all items
        self.gaps = nn.Embedding(N_GAPS, embedding_dim)
        self.waits = nn.Embedding(N_GAPS, embedding_dim)
        for table in (self.gaps, self.waits):
            nn.init.normal_(table.weight, std=0.1 * embedding_dim**-0.5)
        self.values = nn.Linear(1, embedding_dim)
        self.ages = nn.Linear(1, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(embedding_dim, heads, length, dropout) for _ in range(blocks))
        self.after = nn.LayerNorm(embedding_dim)

    def forward(
        self,
        ids: Tensor,
        values: Tensor,
        gaps: Tensor,
        between: Tensor,
        waits: Tensor,
        ages: Tensor,
        since: Tensor,
        inside: Tensor,
    ) -> Tensor:
        """Return what would come after each place, (b, l, d), to be multiplied with items' id vectors.

        ``ids`` (b, l), oldest first, ``values`` (b, l) 0 to 1; ``gaps`` (b, l) since the item before,
        ``between`` (b, l, l) items; ``waits`` (b, l) from an item to its request, ``since`` (b, l, l) from
        each item to each request; ``ages`` (b, l) say how old a request is, about 0 to 1; ``inside``
        (b, l, l) what a place may read.
        """
        x = self.dropout(self.ids(ids) + self.gaps(gaps) + self.values(values[:, :, None]))
        *own, last = self.blocks
        for block in own:
            x = block(x, x, between, inside)
        asking = x + self.waits(waits) + self.ages(ages[:, :, None])
        return self.after(last(asking, x, since, inside))  # type: ignore[no-any-return]
