"""Matrix factorization of implicit feedback by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.seen import best_unseen_products
from recsys.types import PAD, Candidates, Histories, Interactions, Requests, WarmStart

PARAMS = ("factors", "regularization", "iterations", "alpha", "seed")


@dataclass(kw_only=True, eq=False)
class MfRecall:
    """Exact top ``k`` of user factors · item factors, from implicit's ALS (Hu et al., ICDM 2008).

    A pair that met has confidence ``alpha``, every other one 1. A user whom train does not know gets
    an empty row; an item without interactions is not recalled.
    """

    name: ClassVar[str] = "mf"

    factors: int = 64
    regularization: float = 10.0
    iterations: int = 15
    alpha: float = 1.0
    seed: int = 0

    def fit(self, train: Interactions, start: WarmStart[Self] | None = None) -> Self:
        """Factorize ``train``; with ``start`` from its factors on, so that few iterations will do."""
        # Here, because serving fitted factors needs no implicit.
        from implicit.als import AlternatingLeastSquares
        from threadpoolctl import threadpool_limits

        # implicit has threads of its own; those of BLAS would fight with them and add up in another order.
        with threadpool_limits(1, "blas"):
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                iterations=self.iterations,
                alpha=self.alpha,
                random_state=self.seed,
            )
            if start is not None:
                # What is new starts as all did, near zero.
                users, items = start.model.user_factors_, start.model.item_factors_
                draw = np.random.default_rng(self.seed).random
                drawn = 0.01 * draw((train.n_users, self.factors)), 0.01 * draw((train.n_items, self.factors))
                model.user_factors = start.moved(users, start.users, drawn[0])
                model.item_factors = start.moved(items, start.items, drawn[1])
            model.fit(train.matrix(), show_progress=False)
        return self._use(model.user_factors, model.item_factors)

    def _use(self, user_factors: np.ndarray, item_factors: np.ndarray) -> Self:
        self.user_factors_, self.item_factors_ = user_factors, item_factors
        # ALS leaves zeros where there is nothing to learn from.
        self.unmet_ = np.flatnonzero(~item_factors.any(axis=1))
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        factors = np.where(requests.users[:, None] == PAD, np.float32(0), self.user_factors_[requests.users])
        return best_unseen_products(factors, self.item_factors_, self.unmet_, requests.history, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD and the never met."""
        norms = np.linalg.norm(self.item_factors_, axis=1, keepdims=True)
        unit = np.divide(self.item_factors_, norms, out=np.zeros_like(self.item_factors_), where=norms > 0)
        offsets = np.arange(len(items) + 1)
        itself = Histories(items, np.zeros_like(items), np.zeros(len(items)), offsets[:-1], offsets[1:])
        known = np.where(items[:, None] == PAD, np.float32(0), unit[items])
        return best_unseen_products(known, unit, self.unmet_, itself, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        write_arrays(folder / "factors.npz", {"users": self.user_factors_, "items": self.item_factors_})

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "factors.npz")
        channel = cls(**read_json(folder / "params.json"))
        return channel._use(arrays["users"], arrays["items"])
