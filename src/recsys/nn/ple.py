"""Progressive layered extraction: experts of each task's own beside shared ones, level after level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from recsys.nn.mmoe import heads, level_gate


def listened(n_tasks: int, n_experts: int) -> list[list[int]]:
    """Whom each task listens to, and last the shared part: expert i is task i's own, those after are shared.

    ValueError where none would be shared.
    """
    if n_experts <= n_tasks:
        raise ValueError(f"ple needs more experts than tasks: {n_experts} for {n_tasks} leave none to share")
    shared = list(range(n_tasks, n_experts))
    return [*([task, *shared] for task in range(n_tasks)), list(range(n_experts))]


class Extraction(nn.Module):
    """One level: experts read their part's input, and each part's gate mixes those that it listens to."""

    def __init__(self, d_in: int, width: int, n_tasks: int, n_experts: int, *, last: bool) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        # After the last level only tasks go on.
        self.listened = listened(n_tasks, n_experts)[: n_tasks if last else None]
        self.experts = nn.ModuleList(nn.Linear(d_in, width) for _ in range(n_experts))
        self.gates = nn.ModuleList(level_gate(d_in, len(whom)) for whom in self.listened)

    def forward(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Map each task's input and the shared one, (batch, d_in) each, to their outputs (batch, width)."""
        inputs = [parts[min(number, self.n_tasks)] for number in range(len(self.experts))]
        h = torch.stack([expert(x) for expert, x in zip(self.experts, inputs, strict=True)], dim=1).relu()
        return [
            torch.einsum("be,bed->bd", gate(x).softmax(-1), h[:, whom])
            for gate, whom, x in zip(self.gates, self.listened, parts, strict=False)
        ]


class PLE(nn.Module):
    """Each of ``widths`` is a level of as many experts (Tang et al., RecSys 2020, section 4.2)."""

    def __init__(
        self, d_in: int, tasks: Sequence[str], n_experts: int, widths: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        sizes = list(pairwise([d_in, *widths]))
        self.levels = nn.ModuleList(
            Extraction(*size, len(tasks), n_experts, last=number == len(sizes) - 1)
            for number, size in enumerate(sizes)
        )
        self.dropout = nn.Dropout(dropout)
        self.heads = heads(tasks, widths[-1])

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map ``x`` (batch, d_in) to one logit (batch,) per task."""
        parts = [x] * (len(self.heads) + 1)
        for number, level in enumerate(self.levels):
            parts = level([self.dropout(part) for part in parts] if number else parts)
        return {
            task: head(part).squeeze(-1) for (task, head), part in zip(self.heads.items(), parts, strict=True)
        }
