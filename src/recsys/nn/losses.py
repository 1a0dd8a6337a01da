"""Losses: tensors in, a scalar out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

ACCIDENTAL = -1e9
"""Logit of a negative that does not count."""


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
    return nn.functional.cross_entropy(logits.masked_fill(accidental, ACCIDENTAL), own)


def multi_task(
    logits: Mapping[str, Tensor], labels: Mapping[str, Tensor], inside: Tensor, listwise: float
) -> Tensor:
    """Sum of each task's mean cross-entropy, and ``listwise`` times the softmax loss of the first task.

    ``logits`` (b * k,), ``labels`` (b, k) in [0, 1] and ``inside`` (b, k) False where padded. The
    softmax is over a request's candidates, its target spread evenly over the positive ones (ListNet's top-one
    loss, Cao et al., ICML 2007); requests without any do not count.
    """
    total = torch.stack(
        [
            binary_cross_entropy_with_logits(logit.view(inside.shape)[inside], labels[task][inside])
            for task, logit in logits.items()
        ]
    ).sum()
    first = next(iter(logits))
    wanted = labels[first] / labels[first].sum(dim=1, keepdim=True).clamp(min=1e-9)
    chosen = labels[first].sum(dim=1) > 0
    if not listwise or not chosen.any():
        return total
    order = logits[first].view(inside.shape).masked_fill(~inside, -1e9).log_softmax(dim=1)
    return total - listwise * (order * wanted).sum(dim=1)[chosen].mean()
