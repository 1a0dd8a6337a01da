"""Checkpoints: where an interrupted training was, so that it goes on from there and comes to the same end."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from recsys.artifacts import read_arrays, write_arrays
from recsys.train.optimizers import Optimizers

FOLDER = "RECSYS_CHECKPOINTS"
"""Variable of the environment: a folder in which checkpoints outlive their process."""
EVERY = 60.0
"""Seconds between two checkpoints; one is made at the end of an epoch, too."""
MODEL, OPTIMIZER, AT = "model/", "optimizer/", "at"


@dataclass
class Progress:
    """Epoch and step that come next, the sum of this epoch's losses, and the rows of those that are over."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    rows: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Checkpoint:
    """The newest one of a training, in one file."""

    path: Path
    made: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return time.monotonic() - self.made >= EVERY

    def keep(self, at: Progress, model: nn.Module, optimizers: Optimizers) -> None:
        """Write all that goes on from here needs; the file is the old one or the new, never half of it."""
        arrays = {MODEL + name: each.numpy() for name, each in model.state_dict().items()}
        for which, optimizer in enumerate(optimizers):
            for number, state in optimizer.state_dict()["state"].items():
                place = f"{OPTIMIZER}{which}/{number}/"
                arrays |= {place + name: torch.as_tensor(each).numpy() for name, each in state.items()}
        write_arrays(self.path, {**arrays, AT: np.array(json.dumps(asdict(at)))})
        self.made = time.monotonic()

    def restored(self, model: nn.Module, optimizers: Optimizers) -> Progress:
        """Put model and optimizers in the state that was kept; where none was, nothing changes."""
        if not self.path.exists():
            return Progress()
        arrays = {name: each.copy() for name, each in read_arrays(self.path).items()}
        at = Progress(**json.loads(str(arrays.pop(AT))))
        states: list[dict[int, dict[str, torch.Tensor | int]]] = [{} for _ in optimizers]
        for name in [name for name in arrays if name.startswith(OPTIMIZER)]:
            which, number, what = name.removeprefix(OPTIMIZER).split("/")
            value = arrays.pop(name)
            plain = value.dtype.kind == "i"  # SparseAdam counts its steps in Python's numbers
            states[int(which)].setdefault(int(number), {})[what] = (
                value.item() if plain else torch.from_numpy(value)
            )
        learned = {name.removeprefix(MODEL): torch.from_numpy(each) for name, each in arrays.items()}
        model.load_state_dict(learned)
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        return at


@contextmanager
def kept_checkpoint(mark: Callable[[int], str], processes: int) -> Iterator[Checkpoint | None]:
    """Give the checkpoint of the training by so many ``processes`` that has this ``mark``; it ends with that.

    Where the environment names no folder one process has none, and that of several lasts as long as they.
    """
    folder = os.environ.get(FOLDER)
    if folder:
        checkpoint = Checkpoint(Path(folder) / f"{mark(processes)}.npz")
        yield checkpoint
        checkpoint.path.unlink(missing_ok=True)
    elif processes > 1:
        with tempfile.TemporaryDirectory() as own:
            yield Checkpoint(Path(own) / "checkpoint.npz")
    else:
        yield None
