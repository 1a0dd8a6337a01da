"""The entire-space model: each task is conditional on the one before, and their probabilities multiply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from recsys.nn.mmoe import heads
from recsys.nn.towers import mlp

CERTAIN = -1e-6
"""Greatest log of a probability: of 1 there is no logit."""


class ESMM(nn.Module):
    """Towers over one input, the first of P(a), the next of P(b | a), and so on (Ma et al., SIGIR 2018).

    ``tasks`` stand in that order: who likes has watched.
    """

    def __init__(self, d_in: int, tasks: Sequence[str], widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp([d_in, *widths], dropout) for _ in tasks)
        self.heads = heads(tasks, widths[-1])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map ``x`` (batch, d_in) to one logit (batch,) per task, of its own probability."""
        return nested(
            {
                task: head(expert(x).relu()).squeeze(-1)
                for (task, head), expert in zip(self.heads.items(), self.experts, strict=True)
            }
        )


def nested(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """From logits given the task before, (batch,) each, to those of the products of probabilities."""
    log_p, own = torch.zeros(()), {}
    for task, logit in logits.items():
        log_p = (log_p + logsigmoid(logit)).clamp(max=CERTAIN)
        own[task] = log_p - torch.log(-torch.expm1(log_p))
    return own
