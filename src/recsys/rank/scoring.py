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
from recsys.inference import Arrays, GroupedEmbedding, Weights, layers, row_by_row, table_name, within
from recsys.rank.inputs import RankingInputs

Layer = tuple[np.ndarray, np.ndarray]
"""Weight (d_in, d_out) and bias (d_out,)."""


@dataclass(frozen=True)
class Experts:
    """The body: ``n`` experts (a shared bottom is one) and, where there are more, each task's gate.

    The ``first`` layer of all experts and the gates is one product: weight (d_in, n * width + tasks * n) and
    bias. ``deeper`` are the layers after it, stacked: (n, d, d') and (n, d'). ``heads`` are (d', tasks)
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
                (np.stack([w for w, _ in layer]), np.stack([b for _, b in layer]))
                for layer in zip(*(expert[1:] for expert in experts), strict=True)
            ],
            heads=(
                np.concatenate([body[f"heads.{task}.weight"] for task in tasks]).T,
                np.concatenate([body[f"heads.{task}.bias"] for task in tasks]),
            ),
        )

    @property
    def width(self) -> int:
        """Of each expert's first layer."""
        return int(self.heads[0].shape[0] if not self.deeper else self.deeper[0][0].shape[1])

    def __call__(self, hidden: np.ndarray, gates: np.ndarray) -> np.ndarray:
        """Logits (k, tasks) from the first layer's output (n, k, width) and the gates (k, tasks, n)."""
        for weight, bias in self.deeper:
            hidden = _deeper(hidden, weight, bias)
        return np.asarray(_mixed(hidden, *self.heads, gates))


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
        return row_by_row(rows, weight) + bias

    def first_of_request(self, users: np.ndarray, requests: Arrays) -> np.ndarray:
        """What the first layer makes of ``users`` (n,) and of what their ``requests`` tell, (n, ...)."""
        asked = self.request(requests)
        if self.users is not None:
            asked = np.concatenate([self.users[users], asked], axis=1)
        weight, bias = self.of_request
        return row_by_row(asked, weight) + bias + self.of_found[1]

    def first_layer(
        self, asked: np.ndarray, found: np.ndarray, known: np.ndarray, at: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Output (n, k, width) of the experts' first layer for one request, and the gates (k, tasks, n).

        ``asked`` is the request's row of `first_of_request`, ``found`` (numbers, k); candidates are the rows
        ``at`` (k,) of ``known``, which `first_of_known` made.
        """
        n, k = self.experts.n, len(at)
        hidden = np.empty((n, k, self.experts.width), dtype=np.float32)
        gates = np.empty((k, len(self.experts.heads[1]), n), dtype=np.float32)
        _first(self.found.block.encode(found), self.of_found[0], known, at, asked, hidden, gates)
        return hidden, gates


@njit(nogil=True, cache=True)
def _first(found, weight, known, at, asked, hidden, gates):  # type: ignore[no-untyped-def]
    """ReLU of the experts' part, softmax of the gates', which comes after it; one expert has no gates."""
    n, k, width = hidden.shape
    products = np.dot(found.T, weight)
    for row in range(k):
        own, its = products[row], known[at[row]]
        for expert in range(n):
            for column in range(width):
                each = expert * width + column
                hidden[expert, row, column] = max(own[each] + its[each] + asked[each], np.float32(0))
        for task in range(gates.shape[1]):
            start = n * (width + task)
            highest, total = np.float32(-np.inf), np.float32(0)
            for expert in range(n):
                each = start + expert
                logit = own[each] + its[each] + asked[each] if n > 1 else np.float32(0)
                gates[row, task, expert], highest = logit, max(highest, logit)
            for expert in range(n):
                gates[row, task, expert] = np.exp(gates[row, task, expert] - highest)
                total += gates[row, task, expert]
            for expert in range(n):
                gates[row, task, expert] /= total


@njit(nogil=True, cache=True)
def _deeper(hidden, weight, bias):  # type: ignore[no-untyped-def]
    n, k, _ = hidden.shape
    output = np.empty((n, k, weight.shape[2]), dtype=np.float32)
    for expert in range(n):
        np.dot(hidden[expert], weight[expert], output[expert])
        for row in range(k):
            for column in range(output.shape[2]):
                total = output[expert, row, column] + bias[expert, column]
                output[expert, row, column] = max(total, np.float32(0))
    return output


@njit(nogil=True, cache=True)
def _mixed(hidden, weight, bias, gates):  # type: ignore[no-untyped-def]
    """A head is linear: applied to each expert before they are mixed, it leaves tasks numbers to mix."""
    n, k, _ = hidden.shape
    logits = np.empty((k, len(bias)), dtype=np.float32)
    logits[:] = bias
    for expert in range(n):
        votes = np.dot(hidden[expert], weight)
        for row in range(k):
            for task in range(len(bias)):
                logits[row, task] += votes[row, task] * gates[row, task, expert]
    return logits
