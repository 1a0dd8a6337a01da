"""The multi-task bodies of `recsys.nn` in numpy, all of one kind: experts, and gates that mix them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numba import njit

from recsys.inference import Weights, layers, within

if TYPE_CHECKING:
    from recsys.rank.network import Model

Layer = tuple[np.ndarray, np.ndarray]
"""Weight (d_in, d_out) and bias (d_out,)."""
OUT = -1e9
"""A gate's logit for an expert that it does not listen to."""
CERTAIN = -1e-6
"""`recsys.nn.esmm.CERTAIN`."""


@dataclass(frozen=True)
class Level:
    """A layer of each of n experts, stacked: ``weight`` (n, d, d') and ``bias`` (n, d').

    Where there are ``gates``, weights (parts, d, n) and biases (parts, n), the experts before are mixed
    first, and each expert takes in the part that it ``reads`` (n,).
    """

    weight: np.ndarray
    bias: np.ndarray
    gates: Layer | None = None
    reads: np.ndarray | None = None

    def __call__(self, hidden: np.ndarray, gates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Map what the experts (n, k, d) and the gates (k, parts, n) were to what they are now."""
        if self.gates is None:
            return np.asarray(_deeper(hidden, self.weight, self.bias)), gates
        parts = _blended(hidden, gates)
        return np.asarray(_deeper(parts[self.reads], self.weight, self.bias)), _gated(parts, *self.gates)


@dataclass(frozen=True)
class Body:
    """``n`` experts, ``parts`` that listen to them: the tasks, and in a PLE what these share.

    The ``first`` layer of all experts and the gates is one product: weight (d_in, n * width + parts * n) and
    bias; ``deeper`` are the levels after it. ``heads`` are (d', tasks) and (tasks,). Logits that are
    ``nested`` are given the task before.
    """

    n: int
    parts: int
    first: Layer
    deeper: Sequence[Level]
    heads: Layer
    nested: bool

    @classmethod
    def of(cls, body: Weights, tasks: Sequence[str], model: Model) -> Self:
        """Take the weights of a ``model`` of `recsys.nn` apart."""
        experts, gates, deeper = _ple(body, len(tasks)) if model == "ple" else _mixture(body, tasks)
        return cls(
            n=len(experts),
            parts=len(gates),
            first=_side_by_side([*experts, *gates]),
            deeper=deeper,
            heads=_side_by_side([_linear(body, f"heads.{task}") for task in tasks]),
            nested=model == "esmm",
        )

    @property
    def width(self) -> int:
        """Of each expert's first layer."""
        return int(self.first[0].shape[1] // self.n - self.parts)

    def __call__(self, hidden: np.ndarray, gates: np.ndarray) -> np.ndarray:
        """Logits (k, tasks) from the first layer's output (n, k, width) and the gates (k, parts, n)."""
        for level in self.deeper:
            hidden, gates = level(hidden, gates)
        logits = np.asarray(_mixed(hidden, *self.heads, gates))
        return nested(logits) if self.nested else logits


def nested(logits: np.ndarray) -> np.ndarray:
    """`recsys.nn.esmm.nested` of ``logits`` (k, tasks)."""
    log_p, own = np.zeros(len(logits), dtype=np.float32), np.empty_like(logits)
    for task in range(logits.shape[1]):
        log_p = np.minimum(log_p - np.logaddexp(np.float32(0), -logits[:, task]), np.float32(CERTAIN))
        own[:, task] = log_p - np.log(-np.expm1(log_p))
    return own


Parts = tuple[list[Layer], list[Layer], list[Level]]
"""The first layers of experts and of gates, and the levels after them."""


def _mixture(body: Weights, tasks: Sequence[str]) -> Parts:
    """MMoE; a shared bottom is one expert; without gates each task listens to one expert of its own."""
    n = _count(body, "experts")
    experts = [layers(within(body, f"experts.{number}")) for number in range(n)]
    d_in = len(experts[0][0][0])
    return (
        [expert[0] for expert in experts],
        [
            _linear(body, f"gates.{task}") if f"gates.{task}.weight" in body else _alone(d_in, n, number)
            for number, task in enumerate(tasks)
        ],
        [Level(*_stacked(each)) for each in zip(*(expert[1:] for expert in experts), strict=True)],
    )


def _ple(body: Weights, n_tasks: int) -> Parts:
    levels = []
    for number in range(_count(body, "levels")):
        level = within(body, f"levels.{number}")
        experts, gates = (
            [_linear(level, f"{kind}.{each}") for each in range(_count(level, kind))]
            for kind in ("experts", "gates")
        )
        spread = [_spread(gate, part, n_tasks, len(experts)) for part, gate in enumerate(gates)]
        levels.append((experts, spread))
    (experts, gates), *deeper = levels
    reads = np.minimum(np.arange(len(experts)), n_tasks)
    return experts, gates, [Level(*_stacked(own), _stacked(mixing), reads) for own, mixing in deeper]


def _count(weights: Weights, kind: str) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith(f"{kind}.")})


def _linear(weights: Weights, name: str) -> Layer:
    return np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"]


def _alone(d_in: int, n: int, number: int) -> Layer:
    """A gate that listens to one expert only: with n of 1 to that, else to the one of its number."""
    bias = np.full(n, OUT, dtype=np.float32)
    bias[min(number, n - 1)] = 0
    return np.zeros((d_in, n), dtype=np.float32), bias


def _spread(gate: Layer, part: int, n_tasks: int, n: int) -> Layer:
    """A gate of a PLE over all ``n`` experts: a task listens to its own and those that are shared."""
    whom = np.arange(n) if part == n_tasks else np.append(part, np.arange(n_tasks, n))
    weight, bias = np.zeros((len(gate[0]), n), dtype=np.float32), np.full(n, OUT, dtype=np.float32)
    weight[:, whom], bias[whom] = gate
    return weight, bias


def _stacked(parts: Sequence[Layer]) -> Layer:
    weights, biases = zip(*parts, strict=True)
    return np.stack(weights), np.stack(biases)


def _side_by_side(parts: Sequence[Layer]) -> Layer:
    weights, biases = zip(*parts, strict=True)
    return np.concatenate(weights, axis=1), np.concatenate(biases)


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
def _blended(hidden, gates):  # type: ignore[no-untyped-def]
    """What each part hears, (parts, k, width)."""
    n, k, width = hidden.shape
    parts = np.zeros((gates.shape[1], k, width), dtype=np.float32)
    for expert in range(n):
        for row in range(k):
            for part in range(len(parts)):
                gate = gates[row, part, expert]
                if gate > 0:
                    for column in range(width):
                        parts[part, row, column] += gate * hidden[expert, row, column]
    return parts


@njit(nogil=True, cache=True)
def _gated(parts, weight, bias):  # type: ignore[no-untyped-def]
    """Gates (k, parts, n) of those parts that listen from now on."""
    n_parts, n = bias.shape
    k = parts.shape[1]
    gates = np.empty((k, n_parts, n), dtype=np.float32)
    for part in range(n_parts):
        logits = np.dot(parts[part], weight[part])
        for row in range(k):
            for expert in range(n):
                gates[row, part, expert] = logits[row, expert] + bias[part, expert]
            softmax(gates[row, part])
    return gates


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


@njit(nogil=True, cache=True)
def softmax(logits):  # type: ignore[no-untyped-def]
    """Of ``logits`` (n,), in their place."""
    highest, total = np.float32(-np.inf), np.float32(0)
    for place in range(len(logits)):
        highest = max(highest, logits[place])
    for place in range(len(logits)):
        logits[place] = np.exp(logits[place] - highest)
        total += logits[place]
    for place in range(len(logits)):
        logits[place] /= total
