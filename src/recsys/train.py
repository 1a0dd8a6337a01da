"""The one fit loop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

Batch = Mapping[str, Tensor]


class Batches(Protocol):
    """What a model learns from: ``len`` is steps an epoch, a call gives the batches of that epoch."""

    def __len__(self) -> int: ...
    def __call__(self, epoch: int) -> Iterator[Batch]: ...


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
    monitor: str | None = None,
    patience: int | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: bool = False,
) -> list[dict[str, float]]:
    """Train ``model`` in place with AdamW; one row an epoch: epoch, loss (mean over steps), valid metrics.

    ``schedule`` maps the share of the training done to a factor of ``learning_rate``. ``validate``
    is called after each epoch with the model in eval mode. With ``monitor``, one of its metrics
    (greater is better), the model ends in the state of its best epoch; with ``patience`` as well,
    training stops after so many epochs without a better one.

    Raises FloatingPointError as soon as a loss is not finite, naming epoch and step.
    """
    if monitor is not None and validate is None:
        raise ValueError(f"monitor={monitor!r} needs validate")
    if patience is not None and monitor is None:
        raise ValueError("patience needs monitor")
    with reproducible(seed, threads):
        optimizer = torch.optim.AdamW(
            model.parameters(), lr=learning_rate, weight_decay=regularization, fused=True
        )
        best = _Best(monitor)
        rows: list[dict[str, float]] = []
        for epoch in range(epochs):
            rates = _rates(learning_rate, schedule, epoch, epochs, len(batches))
            mean = _one_epoch(model, batches, loss, optimizer, epoch, rates, progress)
            rows.append({"epoch": epoch, "loss": mean, **_validated(model, validate)})
            best.see(rows[-1], model)
            if patience is not None and best.epochs_since >= patience:
                break
        best.restore(model)
    model.eval()
    return rows


def _rates(
    rate: float, schedule: Callable[[float], float] | None, epoch: int, epochs: int, steps: int
) -> list[float]:
    if schedule is None:
        return [rate] * steps
    return [rate * schedule((epoch * steps + step + 1) / (epochs * steps)) for step in range(steps)]


def _one_epoch(
    model: nn.Module,
    batches: Batches,
    loss: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    epoch: int,
    rates: list[float],
    progress: bool,
) -> float:
    model.train()
    total = 0.0
    steps = tqdm(batches(epoch), total=len(batches), desc=f"epoch {epoch}", disable=not progress, leave=False)
    for step, (rate, batch) in enumerate(zip(rates, steps, strict=True)):
        for group in optimizer.param_groups:
            group["lr"] = rate
        value = loss(model, batch)
        if not torch.isfinite(value):
            raise FloatingPointError(f"loss is {value.item()} at epoch {epoch}, step {step}")
        optimizer.zero_grad()
        torch.autograd.backward(value)
        optimizer.step()
        total += value.item()
    return total / max(len(rates), 1)


def _validated(
    model: nn.Module, validate: Callable[[nn.Module], Mapping[str, float]] | None
) -> Mapping[str, float]:
    if validate is None:
        return {}
    model.eval()
    with torch.no_grad():
        return validate(model)


class _Best:
    """The state of the best epoch by ``monitor``; without one, nothing is kept."""

    def __init__(self, monitor: str | None) -> None:
        self.monitor = monitor
        self.value = -float("inf")
        self.epochs_since = 0
        self.state: dict[str, Tensor] | None = None

    def see(self, row: Mapping[str, float], model: nn.Module) -> None:
        if self.monitor is None:
            return
        self.epochs_since += 1
        if row[self.monitor] > self.value:
            self.value, self.epochs_since = row[self.monitor], 0
            self.state = copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module) -> None:
        if self.state is not None:
            model.load_state_dict(self.state)
