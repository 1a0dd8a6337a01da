"""The ranker's network: embedded features of request and candidate, and a multi-task body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recsys.features.candidates import CANDIDATE, REQUEST
from recsys.features.spec import FeatureSpec
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.esmm import ESMM
from recsys.nn.mmoe import MMoE, SharedBottom
from recsys.nn.ple import PLE

Model = Literal["mmoe", "ple", "shared_bottom", "esmm", "single_task"]


class RankingNetwork(nn.Module):
    """One logit a task for each candidate of each request."""

    def __init__(
        self,
        spec: FeatureSpec,
        tasks: Sequence[str],
        *,
        model: Model,
        embedding_dim: int,
        n_experts: int,
        widths: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        self.request = GroupedEmbedding(spec.for_entity("user", REQUEST), embedding_dim)
        self.candidate = GroupedEmbedding(spec.for_entity("item", CANDIDATE), embedding_dim)
        d_in = self.request.width + self.candidate.width
        self.body = _body(model, d_in, tasks, n_experts, widths, dropout)

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Map columns of b requests and their b * k candidates to (b * k, width)."""
        request, candidate = self.request(batch), self.candidate(batch)
        return torch.cat([request.repeat_interleave(len(candidate) // len(request), dim=0), candidate], dim=1)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (b * k,) of each task."""
        logits: dict[str, Tensor] = self.body(self.embed(batch))
        return logits


class SingleTasks(nn.Module):
    """A network for each task, nothing shared: what multi-task models are measured against."""

    def __init__(self, spec: FeatureSpec, tasks: Sequence[str], **shape: Any) -> None:
        super().__init__()
        networks = {task: RankingNetwork(spec, [task], model="shared_bottom", **shape) for task in tasks}
        self.networks = nn.ModuleDict(networks)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (b * k,) of each task."""
        return {task: network(batch)[task] for task, network in self.networks.items()}


def _body(
    model: Model, d_in: int, tasks: Sequence[str], n_experts: int, widths: Sequence[int], dropout: float
) -> nn.Module:
    if model == "mmoe":
        return MMoE(d_in, tasks, n_experts, widths, dropout)
    if model == "ple":
        return PLE(d_in, tasks, n_experts, widths, dropout)
    if model == "esmm":
        return ESMM(d_in, tasks, widths, dropout)
    return SharedBottom(d_in, tasks, widths, dropout)
