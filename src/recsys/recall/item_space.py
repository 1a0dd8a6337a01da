"""Items as points of a space, and a user where the last items are: how channels of item vectors answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numba import njit

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.features.history import HISTORY_IDS, HISTORY_VALUE, HistoryEncoder
from recsys.recall.seen import best_unseen_products
from recsys.recall.vectors import unit
from recsys.types import PAD, Candidates, Histories, Interactions, Requests


@dataclass(frozen=True)
class Profile:
    """A user as the mean of the vectors of the last items.

    Each is weighted by ``decay`` to the power of how many came after it, times its value (0 to 1) to
    ``value_power``.
    """

    history: HistoryEncoder
    decay: float
    value_power: float

    @classmethod
    def fit(cls, train: Interactions, history_length: int, decay: float, value_power: float = 0.0) -> Self:
        """Of the last ``history_length`` items; learn the range of values."""
        return cls(HistoryEncoder.fit(train, history_length), decay, value_power)

    def vectors(self, requests: Requests, item_vectors: np.ndarray) -> np.ndarray:
        """Return unit vectors (n, d) of users; zeros where there is no history to tell."""
        history = self.history.encode(requests.history, requests.now)
        users = np.zeros((len(requests), item_vectors.shape[1]), dtype=np.float32)
        told = history[HISTORY_IDS], history[HISTORY_VALUE]
        _mean(*told, self.decay, self.value_power, item_vectors, users)
        return users

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Restore from what `dataclasses.asdict` gave."""
        return cls(**{**content, "history": HistoryEncoder.from_json(content["history"])})


@dataclass(frozen=True)
class ItemSpace:
    """Unit ``vectors`` (n_items, d) float32 of items, zeros where there is none; users are means of them.

    A user is answered with the items whose ``answers`` (n_items, d) have the largest product with the user's
    vector, by exact search; None for the vectors themselves, so the cosine. ``hidden`` (m,) items are not
    recalled: those without a vector, and what a channel adds.
    """

    vectors: np.ndarray
    hidden: np.ndarray
    profile: Profile
    answers: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        vectors: np.ndarray,
        profile: Profile,
        *,
        answers: np.ndarray | None = None,
        recalled: np.ndarray | None = None,
    ) -> Self:
        """Bring ``vectors`` to length 1; only ``recalled`` (n_items,) bool are found, None for all."""
        vectors = unit(vectors.astype(np.float32))
        shown = vectors.any(axis=1) if recalled is None else vectors.any(axis=1) & recalled
        return cls(vectors, np.flatnonzero(~shown), profile, answers)

    def recall(self, requests: Requests, k: int) -> Candidates:
        """Answer as `Recall.recall` does; whoever met no item with a vector gets an empty row."""
        users = self.profile.vectors(requests, self.vectors)
        answers = self.vectors if self.answers is None else self.answers
        return best_unseen_products(users, answers, self.hidden, requests.seen, k)

    def similar(self, items: np.ndarray, k: int) -> Candidates:
        """Return the ``k`` items of largest cosine to each of ``items``; none for PAD."""
        offsets = np.arange(len(items) + 1)
        itself = Histories(items, np.zeros_like(items), np.zeros(len(items)), offsets[:-1], offsets[1:])
        known = np.where(items[:, None] == PAD, np.float32(0), self.vectors[items])
        return best_unseen_products(known, self.vectors, self.hidden, itself, k)

    def save(self, folder: Path) -> None:
        """Write two files."""
        write_json(folder / "profile.json", asdict(self.profile))
        arrays = {"vectors": self.vectors, "hidden": self.hidden}
        if self.answers is not None:
            arrays["answers"] = self.answers
        write_arrays(folder / "items.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(folder / "items.npz")
        profile = Profile.from_json(read_json(folder / "profile.json"))
        return cls(arrays["vectors"], arrays["hidden"], profile, arrays.get("answers"))


@njit(nogil=True, cache=True)
def _mean(ids, values, decay, power, vectors, means):  # type: ignore[no-untyped-def]
    """At length 1, as only the direction matters."""
    for row in range(len(ids)):
        mean = means[row]
        for place in range(ids.shape[1]):
            if ids[row, place] != PAD:
                weight = np.float32(decay**place * values[row, place] ** power)
                mean += weight * vectors[ids[row, place]]
        length = np.sqrt(product(mean, mean))
        if length > 0:
            mean /= length


@njit(nogil=True, cache=True, fastmath={"reassoc", "contract"})
def product(left, right):  # type: ignore[no-untyped-def]
    """Of two vectors: the same alone as among others, which BLAS does not promise."""
    product = np.float32(0)
    for column in range(len(left)):
        product += left[column] * right[column]
    return product
