"""The ranker's network: embedded features of request and candidate, and a multi-task body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recsys.features.candidates import CANDIDATE
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.features.spec import REQUEST, FeatureSpec
from recsys.nn.attention import TargetAttention
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.esmm import ESMM
from recsys.nn.mmoe import MMoE, SharedBottom
from recsys.nn.ple import PLE
from recsys.types import PAD

Model = Literal["mmoe", "ple", "shared_bottom", "esmm", "single_task"]
MET = "met."
"""Before the names of the columns of a history's items, (b * length, ...)."""


class RankingNetwork(nn.Module):
    """One logit a task for each candidate of each request; with a ``history_length``, by its history too."""

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
        history_length: int,
        heads: int,
    ) -> None:
        super().__init__()
        self.request = GroupedEmbedding(spec.for_entity("user", REQUEST), embedding_dim)
        self.candidate = GroupedEmbedding(spec.for_entity("item", CANDIDATE), embedding_dim)
        d_in = self.request.width + self.candidate.width
        self.attention: TargetAttention | None = None
        if history_length:
            self.item = GroupedEmbedding(spec.for_entity("item"), embedding_dim, shared=self.candidate)
            self.attention = TargetAttention(self.item.width, embedding_dim, history_length, heads)
            d_in += embedding_dim
        self.body = _body(model, d_in, tasks, n_experts, widths, dropout)

    def embed(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Map columns of b requests and their b * k candidates to (b * k, width)."""
        request, candidate = self.request(batch), self.candidate(batch)
        parts = [request.repeat_interleave(len(candidate) // len(request), dim=0), candidate]
        if self.attention is not None:
            parts.append(self._attended(self.attention, batch))
        return torch.cat(parts, dim=1)

    def _attended(self, attention: TargetAttention, batch: Mapping[str, Tensor]) -> Tensor:
        ids = batch[HISTORY_IDS]
        met = {name.removeprefix(MET): each for name, each in batch.items() if name.startswith(MET)}
        candidates = self.item(batch).unflatten(0, (len(ids), -1))
        items = self.item(met).unflatten(0, ids.shape)
        told = batch[HISTORY_AGE], batch[HISTORY_VALUE], ids != PAD
        return attention(candidates, items, *told).flatten(0, 1)  # type: ignore[no-any-return]

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
