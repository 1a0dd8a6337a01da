"""Losses: tensors in, a scalar out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

OUT = -1e9
"""Logit of what does not count."""
PART = 64
"""Users whose logits are computed at once: so many stay in a core's cache."""


def sampled_softmax(
    users: Tensor, items: Tensor, item_ids: Tensor, temperature: float, log_q: Tensor | None = None
) -> Tensor:
    """Softmax cross-entropy of each user's own item against all items of the batch.

    ``users`` (b, d), ``items`` (m, d), m >= b: row i of both belong together, the rows after b are extra
    negatives. ``item_ids`` (m,) tell accidental hits: a negative that is the user's own item
    does not count. ``log_q`` (m,), the log of how often each is expected among the m, comes off its logits:
    popular items are drawn more often (Yi et al., RecSys 2019; with uniform extra ones, Yang et al.,
    WWW 2020 companion).
    """
    own = torch.arange(len(users), device=users.device)
    logits = users / temperature @ items.T
    if log_q is not None:
        logits = logits - log_q
    accidental = item_ids[: len(users), None] == item_ids
    accidental[own, own] = False
    return nn.functional.cross_entropy(logits.masked_fill(accidental, OUT), own)


def sampled_negatives(users: Tensor, items: Tensor, item_ids: Tensor, temperature: float, n: int) -> Tensor:
    """Softmax cross-entropy of each user's own item against ``n`` of the extra negatives.

    Arguments as `sampled_softmax`'s; each user takes the next ``n`` of the rows after b, all where there are
    fewer.
    """
    b, extra = len(users), len(items) - len(users)
    place = torch.arange(b, device=users.device)[:, None] * n
    rows = b + (place + torch.arange(min(n, extra), device=users.device)) % extra
    own = (users * items[:b]).sum(dim=1, keepdim=True)
    others = torch.einsum("bd,bnd->bn", users, items[rows])
    others = others.masked_fill(item_ids[rows] == item_ids[:b, None], OUT)
    logits = torch.cat([own, others], dim=1) / temperature
    return nn.functional.cross_entropy(logits, torch.zeros_like(item_ids[:b]))


def full_softmax(users: Tensor, items: Tensor, own: Tensor) -> Tensor:
    """Softmax cross-entropy of each user's ``own`` (b,) item against all, mean over users.

    ``users`` (b, d), ``items`` (m, d). For the (b, m) logits there is no memory: a part of the users after
    the other has its loss and its gradients computed at once.
    """
    return _FullSoftmax.apply(users, items, own)  # type: ignore[no-any-return, no-untyped-call]


class _FullSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, users, items, own):  # type: ignore[no-untyped-def]
        by_users, by_items = torch.empty_like(users), torch.zeros_like(items)
        loss = -(users * items[own]).sum()
        for start in range(0, len(users), PART):
            part = slice(start, start + PART)
            logits = users[part] @ items.T
            most = logits.amax(dim=1, keepdim=True)
            shares = logits.sub_(most).exp_()
            total = shares.sum(dim=1, keepdim=True)
            loss += (total.log() + most).sum()
            torch.mm(shares, items, out=by_users[part])
            by_users[part] /= total
            by_items.addmm_(shares.T, users[part] / total)
        by_users -= items[own]
        by_items.index_add_(0, own, -users)
        ctx.save_for_backward(by_users, by_items)
        ctx.n = max(len(users), 1)
        return loss / ctx.n

    @staticmethod
    def backward(ctx, scale):  # type: ignore[no-untyped-def]
        by_users, by_items = ctx.saved_tensors
        return by_users * (scale / ctx.n), by_items * (scale / ctx.n), None


def multi_task(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    inside: Tensor,
    listwise: float,
    weights: Mapping[str, float],
) -> Tensor:
    """Weighed sum over the tasks of the mean cross-entropy and ``listwise`` times `top_one`.

    ``logits`` (b * k,), ``labels`` (b, k) in [0, 1] and ``inside`` (b, k) False where padded.
    A task that ``weights`` do not name weighs 1.
    """
    losses = []
    for task, each in logits.items():
        logit = each.view(inside.shape)
        loss = binary_cross_entropy_with_logits(logit[inside], labels[task][inside])
        if listwise:
            loss = loss + listwise * top_one(logit, labels[task], inside)
        losses.append(weights.get(task, 1.0) * loss)
    return torch.stack(losses).sum()


def top_one(logits: Tensor, labels: Tensor, inside: Tensor) -> Tensor:
    """Softmax cross-entropy over each request's candidates (ListNet's top-one loss, Cao et al., ICML 2007).

    All are (b, k). The target is spread over the positives; requests without any do not count.
    """
    positive = labels.sum(dim=1)
    chosen = positive > 0
    order = logits.masked_fill(~inside, OUT).log_softmax(dim=1)
    losses = -(order * labels).sum(dim=1) / positive.clamp(min=1e-9)
    return torch.where(chosen, losses, 0).sum() / chosen.sum().clamp(min=1)
