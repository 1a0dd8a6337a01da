"""A factorization machine: ids, attributes and the last items met, each with a vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numba import njit

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.features.attributes import Attributes
from recsys.recall.seen import best_unseen_products
from recsys.recall.vectors import By, Measure, load_neighbours, neighbours, save_neighbours
from recsys.types import PAD, Candidates, Interactions, Requests

if TYPE_CHECKING:
    from recsys.recall.fm_training import Trained

ARRAYS = ("users", "told", "met", "items")


@dataclass(kw_only=True, eq=False)
class FmRecall:
    """Vectors of a factorization machine (Rendle, ICDM 2010), asked in one of three ways.

    Features are the user's id, attributes and the last ``history_length`` items met, each of which counts
    exp(-``history_decay`` * items after it), all together 1; the item's id and attributes. Each interaction
    of train is an example; its negatives, and what is held back, are as `TwoTowerRecall` says. ``by``:

    - ``u2i``: the exact top ``k`` of user vector · item vector + the item's weight;
    - ``i2i``: of each of the last ``n_last`` items the ``k_similar`` most similar by ``measure``, summed;
    - ``u2u``: the last ``n_last`` items of the ``k_similar`` most similar users, summed.

    In the latter two an item counts exp(-``decay`` * items after it). Whoever has no history is answered
    by ``u2i`` if train knew them or ``attributes`` tell of them, and has an empty row if not. Items that
    train has not met are not recalled.
    """

    name: ClassVar[str] = "fm"

    attributes: Attributes | None = field(default=None, repr=False)
    embedding_dim: int = 64
    history_length: int = 20
    history_decay: float = 0.3
    batch_size: int = 1024
    uniform_negatives: int = 512
    logq_correction: bool = True
    held_back: float = 0.5
    held_back_items: int = 1000
    epochs: int = 2
    learning_rate: float = 0.01
    regularization: float = 0.0
    seed: int = 0
    threads: int = 1
    processes: int = 1
    by: By = "u2i"
    measure: Measure = "dot"
    k_similar: int = 100
    n_last: int = 50
    decay: float = 0.1

    def fit(self, train: Interactions, validate: Callable[[Self], Mapping[str, float]] | None = None) -> Self:
        """Train; ``log_`` has one row an epoch: its loss, and what ``validate`` says of the channel then."""
        # Here, because recall needs no torch.
        from recsys.recall import fm_training

        def validated(trained: fm_training.Trained) -> Mapping[str, float]:
            return validate(self._learned(trained, train)) if validate is not None else {}

        trained, self.log_ = fm_training.train(self, train, validated)
        return self._learned(trained, train)

    def recall(self, requests: Requests, k: int) -> Candidates:
        if self.neighbours_ is not None:
            return self.neighbours_.recall(requests, k)
        queries = self.user_vectors(requests)
        return best_unseen_products(queries, self.items_, self.unmet_, requests.seen, k)

    def user_vectors(self, requests: Requests) -> np.ndarray:
        """Vectors (n, embedding_dim + 1) of who asks, the last number 1; zeros where nothing is known."""
        items = requests.history.last(self.history_length)[0]
        vectors = np.zeros((len(requests), self.embedding_dim + 1), dtype=np.float32)
        # PAD is -1: the last of the users, the unknown.
        told = self.users_[requests.users], self.told_[requests.users]
        _user_vectors(*told, items, self.met_, np.float32(self.history_decay), vectors)
        return vectors

    @property
    def item_vectors(self) -> np.ndarray:
        """Vectors (n_items, embedding_dim), without the items' weights; zeros where train has met none."""
        return np.asarray(self.items_[:, :-1])

    def save(self, folder: Path) -> None:
        # Attributes are no parameter: what they told is in the users' and items' vectors.
        params = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "attributes"}
        write_json(folder / "params.json", {"params": params, "n_parameters": dict(self.n_parameters)})
        write_arrays(folder / "vectors.npz", {name: getattr(self, f"{name}_") for name in ARRAYS})
        save_neighbours(folder, self.neighbours_)

    @classmethod
    def load(cls, folder: Path) -> Self:
        fitted, arrays = read_json(folder / "params.json"), read_arrays(folder / "vectors.npz")
        channel = cls(**fitted["params"])._use(arrays, fitted["n_parameters"])
        channel.neighbours_ = load_neighbours(folder, channel.by)
        return channel

    def _use(self, arrays: Mapping[str, np.ndarray], n_parameters: Mapping[str, int]) -> Self:
        self.users_, self.told_ = arrays["users"], arrays["told"]
        self.met_, self.items_ = arrays["met"], arrays["items"]
        self.n_parameters = n_parameters
        self.unmet_ = np.flatnonzero(~self.items_.any(axis=1))
        return self

    def _learned(self, trained: Trained, train: Interactions) -> Self:
        self._use(trained.arrays, trained.n_parameters)
        everybody = Requests.of(np.arange(train.n_users), train, 0)
        self.neighbours_ = neighbours(
            self.by,
            self.user_vectors(everybody)[:, :-1],
            self.item_vectors,
            train,
            measure=self.measure,
            k_similar=self.k_similar,
            n_last=self.n_last,
            decay=self.decay,
        )
        return self


@njit(nogil=True, cache=True)
def _user_vectors(users, told, items, met, decay, vectors):  # type: ignore[no-untyped-def]
    """Add to what is ``told`` of ``users`` the weighted mean of ``items`` (n, length), newest first."""
    d = users.shape[1]
    weights = np.zeros(items.shape, dtype=np.float32)
    history_weights(items, decay, weights)
    for row in range(len(users)):
        known = told[row]
        vectors[row, :d] = users[row]
        for place in range(items.shape[1]):
            item = items[row, place]
            if item != PAD and met[item].any():
                known = True
                vectors[row, :d] += weights[row, place] * met[item]
        vectors[row, d] = 1
        if not known:
            vectors[row] = 0


@njit(nogil=True, cache=True)
def history_weights(items, decay, weights):  # type: ignore[no-untyped-def]
    """What ``items`` (n, length), newest first, count: all of a row together 1, nothing where PAD."""
    for row in range(len(items)):
        total = np.float32(0)
        for place in range(items.shape[1]):
            if items[row, place] != PAD:
                weights[row, place] = np.exp(-decay * np.float32(place))
                total += weights[row, place]
        if total > 0:
            weights[row] /= total
