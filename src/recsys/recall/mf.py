"""Matrix factorization of implicit feedback by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.ann import Kind, Search
from recsys.recall.vectors import (
    By,
    Measure,
    Neighbours,
    load_neighbours,
    nearest_others,
    neighbours,
    save_neighbours,
)
from recsys.types import PAD, Candidates, Interactions, Requests, WarmStart


@dataclass(kw_only=True, eq=False)
class MfRecall:
    """Factors of users and items from implicit's ALS (Hu et al., ICDM 2008), asked in one of three ways.

    A pair that met has confidence ``alpha``, every other one 1. ``by``:

    - ``u2i``: the top ``k`` of the user's factors · items' factors, found as ``ann`` says
      (`recsys.recall.ann.Search`); ``flat`` is exact;
    - ``i2i``: of each of the last ``n_last`` items the ``k_similar`` most similar by ``measure``, summed;
    - ``u2u``: the last ``n_last`` items of the ``k_similar`` most similar users, summed.

    In the latter two an item counts exp(-``decay`` * items after it). A user whom train does not know gets
    an empty row, unless by ``i2i``, which goes by what was met; an item without interactions is not recalled.
    """

    name: ClassVar[str] = "mf"

    factors: int = 64
    regularization: float = 10.0
    iterations: int = 15
    alpha: float = 1.0
    seed: int = 0
    by: By = "u2i"
    measure: Measure = "dot"
    k_similar: int = 100
    n_last: int = 50
    decay: float = 0.1
    ann: Kind = "flat"

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
        tables = neighbours(
            self.by,
            model.user_factors,
            model.item_factors,
            train,
            measure=self.measure,
            k_similar=self.k_similar,
            n_last=self.n_last,
            decay=self.decay,
        )
        self._use(model.user_factors, model.item_factors, tables)
        self.search_ = Search.of(self.item_factors_, self.unmet_, self._kind)
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        if self.neighbours_ is not None:
            return self.neighbours_.recall(requests, k)
        factors = np.where(requests.users[:, None] == PAD, np.float32(0), self.user_factors_[requests.users])
        return self.search_.best_unseen(factors, requests.seen, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD and the never met."""
        return nearest_others(self.item_factors_, items, k, "cosine")

    def save(self, folder: Path) -> None:
        params = {each.name: getattr(self, each.name) for each in fields(self)}
        write_json(folder / "params.json", params)
        write_arrays(folder / "factors.npz", {"users": self.user_factors_, "items": self.item_factors_})
        save_neighbours(folder, self.neighbours_)
        self.search_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "factors.npz")
        channel = cls(**read_json(folder / "params.json"))
        channel._use(arrays["users"], arrays["items"], load_neighbours(folder, channel.by))
        channel.search_ = Search.load(folder, channel.item_factors_, channel.unmet_, channel._kind)
        return channel

    @property
    def _kind(self) -> Kind:
        """Of the index: only ``u2i`` searches."""
        return self.ann if self.by == "u2i" else "flat"

    def _use(self, user_factors: np.ndarray, item_factors: np.ndarray, tables: Neighbours | None) -> None:
        self.user_factors_, self.item_factors_, self.neighbours_ = user_factors, item_factors, tables
        # ALS leaves zeros where there is nothing to learn from.
        self.unmet_ = np.flatnonzero(~item_factors.any(axis=1))
