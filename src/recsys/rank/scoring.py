"""The ranking network in numpy: users' and items' attributes embedded once, the rest as a request comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit

from recsys.features.candidates import AFFINITY, CANDIDATE, CHANNEL, ITEM, REQUEST, CandidateNumbers
from recsys.features.numeric import NumberBlock
from recsys.features.spec import FeatureSpec
from recsys.inference import Arrays, GroupedEmbedding, Weights, layers, table_name, within
from recsys.rank.inputs import RankingInputs

Layer = tuple[np.ndarray, np.ndarray]
"""Weight (d_in, d_out) and bias (d_out,)."""


@dataclass(frozen=True)
class Experts:
    """The body: ``n`` experts (a shared bottom is one) and, where there are more, each task's gate.

    The ``first`` layer of all experts and the gates is one product: weight (d_in, n * width + tasks * n) and
    bias. ``deeper`` are the layers after it, stacked: (n, d, d') and (n, 1, d'). ``heads`` are (d', tasks)
    and (tasks,).
    """

    n: int
    first: Layer
    deeper: Sequence[Layer]
    heads: Layer

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
        weights = np.empty((len(first), len(self.heads[1]), self.n), dtype=first.dtype)
        _softmax(first[:, -weights[0].size :], weights)
        return weights

    def __call__(self, first: np.ndarray) -> np.ndarray:
        """Logits (k, tasks) from the ``first`` layer's output (k, ...), which it writes over."""
        k, tasks = len(first), len(self.heads[1])
        gates = self.gates(first) if self.n > 1 else np.ones((k, tasks, 1), dtype=first.dtype)
        width = first.shape[1] - (tasks * self.n if self.n > 1 else 0)
        # All of it, the gates too: whole rows are three times as fast as parts of them.
        hidden = np.maximum(first, 0, out=first)[:, :width].reshape(k, self.n, -1).transpose(1, 0, 2)
        for weight, bias in self.deeper:
            hidden = hidden @ weight
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        # A head is linear: applied to each expert before they are mixed, it leaves tasks numbers to mix.
        votes = hidden.reshape(self.n * k, -1) @ self.heads[0]
        mixed = np.einsum("nkt,ktn->kt", votes.reshape(self.n, k, tasks), gates)
        return np.asarray(mixed + self.heads[1])


@njit(nogil=True, cache=True)
def _softmax(logits, weights):  # type: ignore[no-untyped-def]
    k, tasks, n = weights.shape
    for at in range(k):
        for task in range(tasks):
            highest = logits[at, task * n]
            for each in range(1, n):
                highest = max(highest, logits[at, task * n + each])
            total = np.float32(0)
            for each in range(n):
                weights[at, task, each] = np.exp(logits[at, task * n + each] - highest)
                total += weights[at, task, each]
            for each in range(n):
                weights[at, task, each] /= total


@dataclass(frozen=True, eq=False)
class Numbers:
    """Columns that are all numbers: their ``sources``, and what encodes these together.

    ``weights`` and ``biases`` (columns, d) are those of the columns' embeddings, ``groups`` their groups.
    """

    sources: list[str]
    block: NumberBlock
    weights: np.ndarray
    biases: np.ndarray
    groups: list[str]

    @classmethod
    def of(cls, spec: FeatureSpec, weights: Weights) -> Self:
        """Take the weights of a `recsys.nn.embedding.GroupedEmbedding`."""
        tables, columns = within(weights, "tables"), spec.columns
        sources = list(dict.fromkeys(each.column.sources[0] for each in columns))
        return cls(
            sources=sources,
            block=NumberBlock(
                [each.encoder for each in columns],  # type: ignore[misc]
                [sources.index(each.column.sources[0]) for each in columns],
            ),
            weights=np.concatenate([tables[f"{table_name(each)}.weight"].T for each in columns]),
            biases=np.stack([tables[f"{table_name(each)}.bias"] for each in columns]),
            groups=[each.group for each in columns],
        )

    def through(self, layer: Mapping[str, np.ndarray]) -> Layer:
        """Embedding and then ``layer``, by group the weight (d, d_out), in one."""
        return (
            np.stack([own @ layer[group] for own, group in zip(self.weights, self.groups, strict=True)]),
            np.sum([own @ layer[group] for own, group in zip(self.biases, self.groups, strict=True)], axis=0),
        )


@dataclass(frozen=True)
class Scorer:
    """Logits of one request's candidates at a time.

    ``users`` and ``items`` (rows, width) are what `RankingInputs` encoded of each, embedded, the unknown's
    row last, None without attributes. ``request`` embeds what a request tells; ``known`` and ``found`` encode
    what `CandidateNumbers` hold. Weights (d, ...) and bias of the first layer stand by what they multiply:
    ``of_request``, user and request embedded; ``of_known``, an item embedded and ``known``; ``of_found``.
    Numbers have no embedding of their own here: theirs and the first layer are one product.
    """

    users: np.ndarray | None
    items: np.ndarray | None
    request: GroupedEmbedding
    known: Numbers
    found: Numbers
    of_request: Layer
    of_known: Layer
    of_found: Layer
    experts: Experts

    @classmethod
    def of(cls, weights: Weights, inputs: RankingInputs, tasks: Sequence[str]) -> Self:
        """Take the weights of a `recsys.rank.network.RankingNetwork` apart."""
        spec, request, candidate = inputs.spec, within(weights, "request"), within(weights, "candidate")
        users, items, asked = (spec.for_entity(each) for each in ("user", "item", REQUEST))
        known = Numbers.of(spec.of_groups(f"{CANDIDATE}.{ITEM}"), candidate)
        found = Numbers.of(spec.of_groups(f"{CANDIDATE}.{CHANNEL}", f"{CANDIDATE}.{AFFINITY}"), candidate)
        experts = Experts.of(within(weights, "body"), tasks)
        weight, bias = experts.first
        groups = (*spec.for_entity("user", REQUEST).groups, *spec.for_entity("item", CANDIDATE).groups)
        first = dict(zip(groups, np.split(weight, len(groups)), strict=True))
        of_numbers = {each: each.through(first) for each in (known, found)}
        return cls(
            users=GroupedEmbedding(users, request)(inputs.users) if inputs.users else None,
            items=GroupedEmbedding(items, candidate)(inputs.items) if inputs.items else None,
            request=GroupedEmbedding(asked, request),
            known=known,
            found=found,
            of_request=(np.concatenate([first[group] for group in (*users.groups, *asked.groups)]), bias),
            of_known=(
                np.concatenate([*(first[group] for group in items.groups), of_numbers[known][0]]),
                of_numbers[known][1],
            ),
            of_found=of_numbers[found],
            experts=experts,
        )

    def first_of_known(self, numbers: CandidateNumbers) -> np.ndarray:
        """What the first layer makes of each row of ``numbers.known``, (rows, ...)."""
        rows = self.known.block.encode(numbers.known.T).T
        if self.items is not None:
            rows = np.concatenate([self.items[numbers.items], rows], axis=1)
        weight, bias = self.of_known
        products = np.tile(bias, (len(rows), 1))
        _multiply(rows, weight, products)
        return products

    def first_layer(
        self, user: int, request: Arrays, found: np.ndarray, known: np.ndarray, at: np.ndarray
    ) -> np.ndarray:
        """Output (k, ...) of the first layer for one request.

        ``request`` has one row, ``found`` (numbers, k); candidates are the rows ``at`` (k,) of ``known``,
        which `first_of_known` made.
        """
        asked = self.request(request)
        if self.users is not None:
            asked = np.concatenate([self.users[[user]], asked], axis=1)
        (weight, bias), (of_asked, of_all) = self.of_found, self.of_request
        output = self.found.block.encode(found).T @ weight
        _add_rows(output, known, at, (asked @ of_asked)[0] + of_all + bias)
        return output


@njit(nogil=True, cache=True)
def _multiply(rows, weight, products):  # type: ignore[no-untyped-def]
    """Row by row: what BLAS adds up depends on how many rows there are, and these come in any number."""
    for row in range(len(rows)):
        for column in range(rows.shape[1]):
            amount = rows[row, column]
            for out in range(weight.shape[1]):
                products[row, out] += amount * weight[column, out]


@njit(nogil=True, cache=True)
def _add_rows(output, known, at, asked):  # type: ignore[no-untyped-def]
    for row in range(len(output)):
        for column in range(output.shape[1]):
            output[row, column] += known[at[row], column] + asked[column]
