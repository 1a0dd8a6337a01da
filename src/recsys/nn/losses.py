"""Losses: tensors in, a scalar out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

OUT = -1e9
"""Logit of what does not count."""


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


def multi_task(
    logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], inside: Tensor, listwise: float
) -> Tensor:
    """Sum over the tasks of the mean cross-entropy and ``listwise`` times the softmax loss.

    ``logits`` (b * k,), ``labels`` (b, k) in [0, 1] and ``inside`` (b, k) False where padded.
    """
    shaped = {task: logit.view(inside.shape) for task, logit in logits.items()}
    losses = [
        binary_cross_entropy_with_logits(logit[inside], labels[task][inside])
        for task, logit in shaped.items()
    ]
    if listwise:
        losses += [listwise * top_one(logit, labels[task], inside) for task, logit in shaped.items()]
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
