"""Losses: tensors in, a scalar out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

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
