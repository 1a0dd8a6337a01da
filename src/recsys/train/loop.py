"""The one fit loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from recsys.train.checkpoints import Checkpoint, Progress, kept_checkpoint
from recsys.train.optimizers import Optimizers
from recsys.train.processes import Team, in_processes

Batch = Mapping[str, Tensor]
Row = dict[str, float]


class Batches(Protocol):
    """What a model learns from: ``len`` batches an epoch; a call gives what makes each of them by number.

    None needs those before it: processes share them, and training goes on where it was interrupted.
    """

    def __len__(self) -> int: ...
    def __call__(self, epoch: int) -> Callable[[int], Batch]: ...


@contextmanager
def reproducible(seed: int, threads: int) -> Iterator[None]:
    """Fix torch's draws, algorithms and threads within the block: the same seed gives the same bits.

    Sums depend on how many threads share them, so ``threads`` belongs to a run's parameters. Afterwards
    all is as it was: one model's training cannot shift another's.
    """
    deterministic, before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.use_deterministic_algorithms(deterministic)


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    """Copy the parameters of ``network``, by name; one that two modules share is in it once."""
    return {name: each.detach().numpy().copy() for name, each in network.named_parameters()}


def load_weights(network: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Put back what `weights_of` a network like this one gave."""
    with torch.no_grad():
        for name, each in network.named_parameters():
            each.copy_(torch.from_numpy(weights[name]))


def one_cycle(progress: float, warm_up: float = 0.1) -> float:
    """Factor of the learning rate at ``progress`` (0 to 1): up linearly, then down to 0 along a cosine."""
    if progress < warm_up:
        return progress / warm_up
    return float(0.5 * (1 + np.cos(np.pi * (progress - warm_up) / (1 - warm_up))))


def fit(
    model: nn.Module,
    batches: Batches,
    loss: Callable[[nn.Module, Batch], Tensor],
    *,
    epochs: int,
    learning_rate: float,
    regularization: float = 0.0,
    schedule: Callable[[float], float] | None = None,
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    seed: int = 0,
    threads: int = 1,
    processes: int = 1,
) -> list[Row]:
    """Train ``model`` in place; one row an epoch: epoch, loss (mean over batches), valid metrics.

    ``regularization`` decays weights as AdamW does, but for those of sparse tables (`Optimizers`).

    ``schedule`` maps the share of the training done to a factor of ``learning_rate``. ``validate``
    is called after each epoch with the model in eval mode. Of ``processes`` each takes every n-th batch, and
    all make one step of their mean. Where the environment names a folder, RECSYS_CHECKPOINTS, an interrupted
    training goes on where it was, to the same end.

    Raises FloatingPointError as soon as a loss is not finite, naming epoch and step, and ValueError where
    several processes should have several threads each.
    """
    if min(threads, processes) > 1:
        raise ValueError(f"{processes} processes have one thread each, not {threads}")
    optimizers = Optimizers(model, learning_rate, regularization)
    training = _Training(
        model, batches, loss, optimizers, epochs, learning_rate, schedule or (lambda _: 1.0), validate, seed
    )
    with reproducible(seed, threads), kept_checkpoint(training.mark, processes) as kept:
        if processes == 1:
            rows = training.run(Team(), kept)
        else:
            weights, rows = in_processes(processes, lambda team: training.in_team(team, kept))
            load_weights(model, weights)
    model.eval()
    return rows


@dataclass
class _Training:
    """What `fit` is told."""

    model: nn.Module
    batches: Batches
    loss: Callable[[nn.Module, Batch], Tensor]
    optimizers: Optimizers
    epochs: int
    learning_rate: float
    schedule: Callable[[float], float]
    validate: Callable[[nn.Module], Mapping[str, float]] | None
    seed: int

    def mark(self, processes: int) -> str:
        """Tell this training from others: by its first weights, batch and loss, last batch, and numbers."""
        n, first = len(self.batches), self.batches(0)
        seen = [first(number) for number in sorted({0, n - 1}) if n]
        told = [self.model.state_dict(), *seen]
        loss = self._untrained(seen[0]) if seen else 0.0
        numbers = (n, self.epochs, self.seed, processes, self.optimizers, self.schedule(0.5), loss)
        digest = sha256(repr(numbers).encode())
        for tensors in told:
            for name in sorted(tensors):
                digest.update(name.encode() + tensors[name].numpy().tobytes())
        return digest.hexdigest()[:32]

    def _untrained(self, batch: Batch) -> float:
        """The loss of ``batch`` before any step, which tells what the loss and the layers were told."""
        self.model.train()
        torch.manual_seed(_drawn(self.seed))
        with torch.no_grad():
            return float(self.loss(self.model, batch))

    def in_team(self, team: Team, kept: Checkpoint | None) -> tuple[dict[str, np.ndarray], list[Row]]:
        """`run` in a process of its own: it ends with the model in it, whose weights are given back."""
        rows = self.run(team, kept)
        return weights_of(self.model), rows

    def run(self, team: Team, kept: Checkpoint | None) -> list[Row]:
        """All epochs, from the checkpoint on if one was ``kept``; rows, in the first process with metrics."""
        at = Progress() if kept is None else kept.restored(self.model, self.optimizers)
        for epoch in range(at.epoch, self.epochs):
            self._epoch(epoch, at, team, kept)
            found = self._validated() if team.rank == 0 else {}
            row = {"epoch": epoch, "loss": at.loss / max(at.step, 1), **found}
            at = Progress(epoch + 1, rows=[*at.rows, row])
            if kept is not None and team.rank == 0:
                kept.keep(at, self.model, self.optimizers)
        return at.rows

    def _epoch(self, epoch: int, at: Progress, team: Team, kept: Checkpoint | None) -> None:
        self.model.train()
        n, batch = len(self.batches), self.batches(epoch)
        steps = -(-n // team.size)
        shown = tqdm(desc=f"epoch {epoch}", initial=at.step, total=steps, leave=False, disable=None)
        for step in range(at.step, steps):
            # Drawn anew for each step: what is drawn does not depend on where training was interrupted.
            torch.manual_seed(_drawn(self.seed, epoch, step, team.rank))
            rate = self.learning_rate * self.schedule((epoch * steps + step + 1) / (self.epochs * steps))
            value = self.loss(self.model, batch((step * team.size + team.rank) % n))
            self.optimizers.zero_grad()
            torch.autograd.backward(value)
            mean = team.mean(value, self.model)
            if not np.isfinite(mean):
                raise FloatingPointError(f"loss is {mean} at epoch {epoch}, step {step}")
            self.optimizers.step(rate)
            at.loss, at.step = at.loss + mean, step + 1
            shown.update()
            if kept is not None and team.rank == 0 and kept.due:
                kept.keep(at, self.model, self.optimizers)
        shown.close()

    def _validated(self) -> Mapping[str, float]:
        if self.validate is None:
            return {}
        self.model.eval()
        with torch.no_grad():
            return self.validate(self.model)


def _drawn(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
