"""Several processes that train one model: each learns from its share of every batch, all take the same step.

torch.distributed's elastic agent, which is what torchrun runs, forks them from this process, so that all read
the same arrays and none is copied, and watches them. Where one dies all are started again, and go on from the
last checkpoint.
"""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed import distributed_c10d
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

RESTARTS = 3
"""How often all are started again before it is given up."""
T = TypeVar("T")


class ProcessError(Exception):
    """Processes died again and again; the message says which."""


@dataclass(frozen=True)
class Team:
    """Those who train one model: this is number ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    def mean(self, loss: Tensor, network: nn.Module) -> float:
        """Mean loss over all; that of the gradients takes the place of each one's own."""
        if self.size == 1:
            return float(loss.item())
        learned = [each for each in network.parameters() if each.requires_grad]
        tables = [each for each in learned if each.grad is not None and each.grad.is_sparse]
        for each in tables:
            rows = each.grad.coalesce()  # type: ignore[union-attr]
            distributed.all_reduce(rows)
            each.grad = rows / self.size
        learned = [each for each in learned if all(each is not table for table in tables)]
        own = [torch.zeros_like(each) if each.grad is None else each.grad for each in learned]
        parts = [loss.detach().reshape(1), *own]
        together = torch.cat([part.reshape(-1) for part in parts])
        distributed.all_reduce(together)
        mean, *gradients = torch.split(together / self.size, [part.numel() for part in parts])
        for each, gradient in zip(learned, gradients, strict=True):
            each.grad = gradient.view_as(each)
        return float(mean.item())


def in_processes(n: int, work: Callable[[Team], T]) -> T:
    """What ``work`` of the first of ``n`` processes gives; what it raises is raised here.

    ProcessError where one died and did so again each time.
    """
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="fork",
        max_restarts=RESTARTS,
    )
    with _signals_as_they_are():
        try:
            result = elastic_launch(config, _member)(work)[0]
        except ChildFailedError as error:
            raise ProcessError(f"{RESTARTS + 1} times one of {n} processes died: {error}") from error
    if isinstance(result, Exception):
        raise result
    return result  # type: ignore[no-any-return]


def _member(work: Callable[[Team], T]) -> T | Exception | None:
    """What one process does; an error is no death, and comes back as what it is."""
    told = os.environ
    at = told["MASTER_ADDR"], int(told["MASTER_PORT"])
    agents = distributed.TCPStore(*at, is_master=False)  # type: ignore[attr-defined]
    # It outlives those who are started again: they must not read where the dead were listening.
    attempt = distributed_c10d.PrefixStore(f"attempt {told['TORCHELASTIC_RESTART_COUNT']}", agents)
    team = Team(int(told["RANK"]), int(told["WORLD_SIZE"]))
    distributed.init_process_group("gloo", store=attempt, rank=team.rank, world_size=team.size)
    try:
        result = work(team)
    except Exception as error:
        return error
    finally:
        distributed.destroy_process_group()
    return result if team.rank == 0 else None


@contextmanager
def _signals_as_they_are() -> Iterator[None]:
    """The agent leaves its own handlers behind."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
