"""User-based collaborative filtering: what similar users met lately."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from scipy import sparse

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.recall.seen import best_unseen_sums
from recsys.types import PAD, Candidates, Engine, Interactions, Requests

if TYPE_CHECKING:
    from recsys.recall import cooccurrence

PARAMS = (
    "k_similar",
    "n_recent",
    "n_last",
    "step_decay",
    "iif",
    "attribute_weight",
    "attribute_only",
    "power",
    "shrinkage",
    "max_item_users",
)


@dataclass(kw_only=True, eq=False)
class UserCfRecall:
    """The ``k_similar`` most similar users x their last ``n_last`` items, summed.

    Similarity of ``u`` to ``v`` is the sum over the last ``n_recent`` items of ``u`` (None: all) that
    ``v`` met at any time, divided by ``(n_u n_v) ** power + shrinkage``: with all items, all weights
    off and power 0.5 the cosine. The weights:

    - ``iif``: an item counts 1 / log(1 + users of the item) (Breese et al., UAI 1998);
    - ``attribute_weight``: what a pair of one attribute (a region, say) counts, where others count
      1; with ``attribute_only`` others count 0. Both need ``attributes`` (n_users,), integer codes,
      negative for unknown, which is like nobody;
    - ``step_decay``: a neighbour's item counts exp(-step_decay * items after it).

    ``max_item_users`` bounds the work, which grows with the square of an item's users: each item
    brings a user only the newest so many of its users. Those of popular items tell least; None
    counts them all. A user whom train does not know gets an empty row.
    """

    name: ClassVar[str] = "user_cf"

    k_similar: int = 100
    n_recent: int | None = 10
    n_last: int = 100
    step_decay: float = 0.01
    iif: bool = True
    attribute_weight: float = 1.0
    attribute_only: bool = False
    power: float = 0.5
    shrinkage: float = 0.0
    max_item_users: int | None = 1000
    attributes: np.ndarray | None = None
    engine: Engine = "local"

    def __post_init__(self) -> None:
        if self._by_attribute and self.attributes is None:
            raise ValueError("user_cf: attribute_weight and attribute_only need attributes")
        if self.attribute_weight <= 0:
            raise ValueError(f"user_cf: attribute_weight {self.attribute_weight} is not above 0")

    @property
    def _by_attribute(self) -> bool:
        return self.attribute_only or self.attribute_weight != 1

    def fit(self, train: Interactions) -> Self:
        # Here, because answering needs none of it.
        from recsys.recall import cooccurrence

        sequences = cooccurrence.Sequences.of(train)
        starts, ends, users = self._users_of_items(sequences)
        degrees = np.bincount(sequences.items, minlength=train.n_items)
        recent = sequences if self.n_recent is None else sequences.last(self.n_recent)
        self.users_, self.similarities_ = cooccurrence.tables_of(self.engine).weighed_by_middle(
            (recent.offsets, recent.items),
            1 / np.log1p(np.maximum(degrees, 1)) if self.iif else np.ones(train.n_items),
            (starts, ends, users),
            cooccurrence.Similarity(
                sequences.lengths,
                self.power,
                self.shrinkage,
                labels=self.attributes if self._by_attribute else None,
                exact=True,
                same=self.attribute_weight,
                other=0.0 if self.attribute_only else 1.0,
            ),
            self.k_similar,
        )
        self.last_items_ = self._weighted(sequences.last(self.n_last))
        return self

    def _users_of_items(self, sequences: cooccurrence.Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        offsets, users = sequences.users_by_item_in_time
        starts, ends = offsets[:-1], offsets[1:]
        if self.max_item_users is not None:
            starts = np.maximum(starts, ends - self.max_item_users)
        return starts, ends, users

    def _weighted(self, last: cooccurrence.Sequences) -> sparse.csr_matrix:
        """Users x items: how much their last items count."""
        weights = np.exp(-self.step_decay * last.left).astype(np.float32)
        return sparse.csr_matrix((weights, last.items, last.offsets), shape=(len(last.lengths), last.n_items))

    def recall(self, requests: Requests, k: int) -> Candidates:
        neighbours = np.where(requests.users[:, None] == PAD, PAD, self.users_[requests.users])
        similarities = self.similarities_[requests.users]
        return best_unseen_sums(neighbours, similarities, self.last_items_, requests.seen, k)

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", {name: getattr(self, name) for name in PARAMS})
        arrays = {
            "users": self.users_,
            "similarities": self.similarities_,
            "weights": self.last_items_.data,
            "items": self.last_items_.indices,
            "offsets": self.last_items_.indptr,
            "shape": np.array(self.last_items_.shape),
        }
        if self.attributes is not None:
            arrays["attributes"] = self.attributes
        write_arrays(folder / "user_similar.npz", arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        arrays = read_arrays(folder / "user_similar.npz")
        channel = cls(**read_json(folder / "params.json"), attributes=arrays.get("attributes"))
        channel.users_, channel.similarities_ = arrays["users"], arrays["similarities"]
        channel.last_items_ = sparse.csr_matrix(
            (arrays["weights"], arrays["items"], arrays["offsets"]), shape=tuple(arrays["shape"])
        )
        return channel
