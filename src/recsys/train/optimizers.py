"""What makes steps: AdamW, and for large tables of ids an Adam that moves only rows that were read."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


class Optimizers:
    """AdamW for what ``model`` learns, but for its sparse tables, whose gradients are of some rows only.

    Those have `torch.optim.SparseAdam`: rows that no batch reads stay as they are and are not decayed, and a
    step costs what the batch does, not what the table does.
    """

    def __init__(self, model: nn.Module, learning_rate: float, regularization: float) -> None:
        tables = {
            id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding) and each.sparse
        }
        large = [each for each in model.parameters() if id(each) in tables]
        dense = [each for each in model.parameters() if id(each) not in tables]
        self._all: list[torch.optim.Optimizer] = []
        if dense:
            self._all.append(
                torch.optim.AdamW(dense, lr=learning_rate, weight_decay=regularization, fused=True)
            )
        if large:
            self._all.append(torch.optim.SparseAdam(large, lr=learning_rate))

    def __iter__(self) -> Iterator[torch.optim.Optimizer]:
        return iter(self._all)

    def __repr__(self) -> str:
        return repr(self._all)

    def zero_grad(self) -> None:
        for each in self:
            each.zero_grad()

    def step(self, learning_rate: float) -> None:
        for each in self:
            for group in each.param_groups:
                group["lr"] = learning_rate
            each.step()
