"""Multi-task networks over one input vector: a gated mixture of experts and what it is measured against."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recsys.nn.towers import mlp


class MMoE(nn.Module):
    """Multi-gate mixture of experts (Ma et al., KDD 2018, section 4.2)."""

    def __init__(
        self, d_in: int, tasks: Sequence[str], n_experts: int, widths: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp([d_in, *widths], dropout) for _ in range(n_experts))
        self.gates = nn.ModuleDict({task: level_gate(d_in, n_experts) for task in tasks})
        self.heads = heads(tasks, widths[-1])

    def gate_weights(self, x: Tensor) -> dict[str, Tensor]:
        """How much each task listens to each expert, (batch, experts), rows sum to 1."""
        return {task: gate(x).softmax(-1) for task, gate in self.gates.items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map ``x`` (batch, d_in) to one logit (batch,) per task."""
        h = torch.stack([expert(x) for expert in self.experts], dim=1).relu()  # (b, e, d)
        weights = self.gate_weights(x)
        return {
            task: head(torch.einsum("be,bed->bd", weights[task], h)).squeeze(-1)
            for task, head in self.heads.items()
        }


class SharedBottom(nn.Module):
    """One body for all tasks, a head each (Caruana 1997)."""

    def __init__(self, d_in: int, tasks: Sequence[str], widths: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.experts = nn.ModuleList([mlp([d_in, *widths], dropout)])
        self.heads = heads(tasks, widths[-1])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map ``x`` (batch, d_in) to one logit (batch,) per task."""
        h = self.experts[0](x).relu()
        return {task: head(h).squeeze(-1) for task, head in self.heads.items()}


def level_gate(d_in: int, n_experts: int) -> nn.Linear:
    """Logits of ``n_experts`` that begin equal: what a gate prefers, it has learned, and did not draw."""
    gate = nn.Linear(d_in, n_experts)
    nn.init.zeros_(gate.weight)
    nn.init.zeros_(gate.bias)
    return gate


def heads(tasks: Sequence[str], width: int) -> nn.ModuleDict:
    """What makes a logit of ``width`` numbers, for each task."""
    return nn.ModuleDict({task: nn.Linear(width, 1) for task in tasks})
