"""The ranking network in numpy: users' and items' attributes embedded once, the rest as a request comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from recsys.features.candidates import CANDIDATE, REQUEST
from recsys.inference import Arrays, GroupedEmbedding, Weights, layers, within
from recsys.rank.inputs import RankingInputs


@dataclass(frozen=True)
class Experts:
    """The body: ``n`` experts (a shared bottom is one) and, where there are more, each task's gate.

    The ``first`` layer of all experts and the gates is one product: weight (d_in, n * width + tasks * n) and
    bias. ``deeper`` are the layers after it, stacked: (n, d, d') and (n, 1, d'). ``heads`` are (d', tasks)
    and (tasks,).
    """

    n: int
    first: tuple[np.ndarray, np.ndarray]
    deeper: Sequence[tuple[np.ndarray, np.ndarray]]
    heads: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, body: Weights, tasks: Sequence[str]) -> Self:
        """Take the weights of a `recsys.nn.mmoe.MMoE` or `SharedBottom` apart."""
        parts = sorted({".".join(name.split(".")[:2]) for name in body if name.startswith("experts.")}) or [
            "body"
        ]
        experts = [layers(within(body, part)) for part in parts]
        gates = [
            (body[f"gates.{task}.weight"].T, body[f"gates.{task}.bias"]) for task in tasks if len(parts) > 1
        ]
        first = [expert[0] for expert in experts] + gates
        return cls(
            n=len(experts),
            first=(np.concatenate([w for w, _ in first], axis=1), np.concatenate([b for _, b in first])),
            deeper=[
                (np.stack([w for w, _ in layer]), np.stack([b for _, b in layer])[:, None])
                for layer in zip(*(expert[1:] for expert in experts), strict=True)
            ],
            heads=(
                np.concatenate([body[f"heads.{task}.weight"] for task in tasks]).T,
                np.concatenate([body[f"heads.{task}.bias"] for task in tasks]),
            ),
        )

    def gates(self, first: np.ndarray) -> np.ndarray:
        """Weights (k, tasks, n), rows summing to 1, from the ``first`` layer's output."""
        tasks = len(self.heads[1])
        logits = first[:, -tasks * self.n :].reshape(-1, tasks, self.n)
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        return np.asarray(weights / weights.sum(axis=2, keepdims=True))

    def __call__(self, first: np.ndarray) -> np.ndarray:
        """Logits (k, tasks) from the ``first`` layer's output (k, ...)."""
        k, tasks = len(first), len(self.heads[1])
        width = first.shape[1] - (tasks * self.n if self.n > 1 else 0)
        hidden = np.maximum(first[:, :width], 0).reshape(k, self.n, -1).transpose(1, 0, 2)
        for weight, bias in self.deeper:
            hidden = np.maximum(hidden @ weight + bias, 0)
        # A head is linear: applied to each expert before they are mixed, it leaves tasks numbers to mix.
        votes = hidden @ self.heads[0]  # (n, k, tasks)
        mixed = (votes.transpose(1, 2, 0) * self.gates(first)).sum(axis=2) if self.n > 1 else votes[0]
        return np.asarray(mixed + self.heads[1])


@dataclass(frozen=True)
class Scorer:
    """Logits of one request's candidates at a time.

    ``users`` and ``items`` (rows, width) are what `RankingInputs` encoded of each, embedded, the unknown's
    row last, None without attributes; ``request`` and ``candidate`` embed what only a request tells.
    """

    users: np.ndarray | None
    items: np.ndarray | None
    request: GroupedEmbedding
    candidate: GroupedEmbedding
    experts: Experts

    @classmethod
    def of(cls, weights: Weights, inputs: RankingInputs, tasks: Sequence[str]) -> Self:
        """Take the weights of a `recsys.rank.network.RankingNetwork` apart."""
        spec, request, candidate = inputs.spec, within(weights, "request"), within(weights, "candidate")
        users = GroupedEmbedding(spec.for_entity("user"), request)
        items = GroupedEmbedding(spec.for_entity("item"), candidate)
        return cls(
            users=users(inputs.users) if inputs.users else None,
            items=items(inputs.items) if inputs.items else None,
            request=GroupedEmbedding(spec.for_entity(REQUEST), request),
            candidate=GroupedEmbedding(spec.for_entity(CANDIDATE), candidate),
            experts=Experts.of(within(weights, "body"), tasks),
        )

    def first_layer(self, user: int, items: np.ndarray, request: Arrays, candidates: Arrays) -> np.ndarray:
        """Output (k, ...) of the first layer; ``request`` has one row, ``candidates`` has k."""
        weight, bias = self.experts.first
        asked, offered = self.request(request), self.candidate(candidates)
        if self.users is not None:
            asked = np.concatenate([self.users[[user]], asked], axis=1)
        if self.items is not None:
            offered = np.concatenate([self.items[items], offered], axis=1)
        split = asked.shape[1]
        return np.asarray(offered @ weight[split:] + (asked @ weight[:split] + bias))
