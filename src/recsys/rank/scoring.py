"""The ranking network in numpy: users' and items' attributes embedded once, the rest as a request comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit

from recsys.features.candidates import AFFINITY, CANDIDATE, CHANNEL, ITEM, CandidateNumbers
from recsys.features.numeric import NumberBlock
from recsys.features.spec import REQUEST, FeatureSpec
from recsys.inference import Arrays, GroupedEmbedding, Weights, row_by_row, table_name, within
from recsys.rank.attention import TargetAttention
from recsys.rank.bodies import Body, Layer, softmax
from recsys.rank.inputs import RankingInputs

if TYPE_CHECKING:
    from recsys.rank.network import Model


ATTENDED = "attended"
"""Stands for a group, in the first layer's weights."""


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
class Told:
    """Of n requests: their ``users`` (n,), what they ``ask`` encoded, and their candidates' ``numbers``."""

    users: np.ndarray
    ask: Arrays
    numbers: CandidateNumbers


@dataclass(frozen=True, eq=False)
class Scorer:
    """Logits of one request's candidates at a time, as sums depend on who else is in a product.

    ``users`` and ``items`` (rows, width) are what `RankingInputs` encoded of each, embedded, the unknown's
    row last, None without attributes. ``request`` embeds what a request tells; ``known`` and ``found`` encode
    what `CandidateNumbers` hold. Weights (d, ...) and bias of the first layer stand by what they multiply:
    ``of_request``, user and request embedded; ``of_known``, an item embedded and ``known``; ``of_found``.
    Numbers have no embedding of their own here: theirs and the first layer are one product. Where there is
    ``attention``, what it gives stands behind the numbers of ``found``.
    """

    users: np.ndarray | None
    items: np.ndarray | None
    request: GroupedEmbedding
    known: Numbers
    found: Numbers
    of_request: Layer
    of_known: Layer
    of_found: Layer
    body: Body
    attention: TargetAttention | None

    @classmethod
    def of(cls, weights: Weights, inputs: RankingInputs, tasks: Sequence[str], model: Model) -> Self:
        """Take the weights of a `recsys.rank.network.RankingNetwork` apart."""
        spec, request, candidate = inputs.spec, within(weights, "request"), within(weights, "candidate")
        users, items, asked = (spec.for_entity(each) for each in ("user", "item", REQUEST))
        known = Numbers.of(spec.of_groups(f"{CANDIDATE}.{ITEM}"), candidate)
        found = Numbers.of(spec.of_groups(f"{CANDIDATE}.{CHANNEL}", f"{CANDIDATE}.{AFFINITY}"), candidate)
        body = Body.of(within(weights, "body"), tasks, model)
        weight, bias = body.first
        items_embedded = GroupedEmbedding(items, candidate)(inputs.items) if inputs.items else None
        attention = None
        groups = [*spec.for_entity("user", REQUEST).groups, *spec.for_entity("item", CANDIDATE).groups]
        if inputs.history is not None and items_embedded is not None:
            attention = TargetAttention.of(within(weights, "attention"), items_embedded)
            groups.append(ATTENDED)
        first = dict(zip(groups, np.split(weight, len(groups)), strict=True))
        of_numbers = {each: each.through(first) for each in (known, found)}
        return cls(
            users=GroupedEmbedding(users, request)(inputs.users) if inputs.users else None,
            items=items_embedded,
            request=GroupedEmbedding(asked, request),
            known=known,
            found=found,
            of_request=(np.concatenate([first[group] for group in (*users.groups, *asked.groups)]), bias),
            of_known=(
                np.concatenate([*(first[group] for group in items.groups), of_numbers[known][0]]),
                of_numbers[known][1],
            ),
            of_found=(
                np.concatenate([of_numbers[found][0], *([first[ATTENDED]] if attention else [])]),
                of_numbers[found][1],
            ),
            body=body,
            attention=attention,
        )

    def first_of_known(self, numbers: CandidateNumbers) -> np.ndarray:
        """What the first layer makes of each row of ``numbers.known``, (rows, ...)."""
        rows = self.known.block.encode(numbers.known.T).T
        if self.items is not None:
            rows = np.concatenate([self.items[numbers.items], rows], axis=1)
        weight, bias = self.of_known
        return row_by_row(rows, weight) + bias

    def logits(self, told: Told, known: np.ndarray) -> np.ndarray:
        """(n, k, tasks) of the candidates, of which `first_of_known` made ``known``."""
        return np.stack([self.body(*layer) for layer in self.first_layers(told, known)])

    def first_layers(self, told: Told, known: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each request the experts' first layer (n, k, width), and the gates (k, parts, n)."""
        asked, numbers = self._first_of_request(told), told.numbers
        for row, (own, at) in enumerate(zip(asked, numbers.at, strict=True)):
            hidden = np.empty((self.body.n, len(at), self.body.width), dtype=np.float32)
            gates = np.empty((len(at), self.body.parts, self.body.n), dtype=np.float32)
            found = self.found.block.encode(numbers.found[row])
            if self.attention is not None:
                found = np.concatenate([found, self.attention(numbers.items[at], told.ask, row)])
            _first(found, self.of_found[0], known, at, own, hidden, gates)
            yield hidden, gates

    def _first_of_request(self, told: Told) -> np.ndarray:
        """What the first layer makes of users and of what their requests tell, (n, ...)."""
        asked = self.request(told.ask)
        if self.users is not None:
            asked = np.concatenate([self.users[told.users], asked], axis=1)
        weight, bias = self.of_request
        return row_by_row(asked, weight) + bias + self.of_found[1]


@njit(nogil=True, cache=True)
def _first(found, weight, known, at, asked, hidden, gates):  # type: ignore[no-untyped-def]
    """ReLU of the experts' part, softmax of the gates', which comes after it."""
    n, k, width = hidden.shape
    products = np.dot(found.T, weight)
    for row in range(k):
        own, its = products[row], known[at[row]]
        for expert in range(n):
            for column in range(width):
                each = expert * width + column
                hidden[expert, row, column] = max(own[each] + its[each] + asked[each], np.float32(0))
        for part in range(gates.shape[1]):
            start = n * (width + part)
            for expert in range(n):
                each = start + expert
                gates[row, part, expert] = own[each] + its[each] + asked[each]
            softmax(gates[row, part])
