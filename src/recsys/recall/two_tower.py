"""Two towers: a user and an item are near in one space if the one is to meet the other next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from recsys.artifacts import ArtifactError, read_arrays, read_json, write_arrays, write_json
from recsys.features.attributes import Attributes
from recsys.inference import Weights, load_weights, save_weights, within
from recsys.recall.ann import Kind, Search
from recsys.recall.seen import in_blocks
from recsys.recall.tower_inputs import TowerInputs
from recsys.recall.user_tower import UserTower
from recsys.types import Candidates, Requests, WarmStart

if TYPE_CHECKING:
    from recsys.data.shards import Train
    from recsys.nn import pooling

WEIGHTS = "weights.safetensors"


@dataclass(kw_only=True, eq=False)
class TwoTowerRecall:
    """Top ``k`` by the cosine of a user's and an item's vector.

    Each interaction of train is an example: whoever had done what came before it met, at that moment, this
    item. Negatives are the other items of the batch (Yi et al., RecSys 2019) and ``uniform_negatives`` of the
    catalogue (Yang et al., WWW 2020 companion). In a share ``held_back`` of the examples the newest 1 to
    ``held_back_items`` of the history (log-uniform) are kept from the user tower: so it learns to look
    further ahead than the next item.

    With ``attributes`` the towers read these too, and a known user without history is answered; whoever has
    neither gets an empty row. Items that train has not met are not recalled.

    ``id_vectors`` (n_items, embedding_dim) are what the items' own vectors start from instead of chance,
    where they are not zeros. With ``id_buckets`` items share so many rows of that table, drawn for each:
    fewer parameters, and what shares a row is told apart by its attributes only.

    ``ann`` says how items are searched, as `recsys.recall.ann.Search` describes: ``flat`` is exact; for
    catalogues where that is too slow there are ``ivf``, ``hnsw``, ``lsh`` and ``pq``.
    """

    name: ClassVar[str] = "two_tower"

    attributes: Attributes | None = field(default=None, repr=False)
    id_vectors: np.ndarray | None = field(default=None, repr=False)
    id_buckets: int | None = None
    embedding_dim: int = 64
    history_length: int = 50
    pooling: pooling.Kind = "weighted"
    heads: int = 3
    hidden: tuple[int, ...] = (128,)
    dropout: float = 0.1
    temperature: float = 0.07
    batch_size: int = 1024
    uniform_negatives: int = 512
    logq_correction: bool = True
    held_back: float = 0.5
    held_back_items: int = 1000
    epochs: int = 2
    learning_rate: float = 0.002
    regularization: float = 0.0
    seed: int = 0
    threads: int = 1
    processes: int = 1
    ann: Kind = "flat"

    def __post_init__(self) -> None:
        if self.id_vectors is not None and self.id_buckets is not None:
            raise ValueError("two_tower: items that share rows (id_buckets) have no id_vectors of their own")

    def fit(
        self,
        train: Train,
        validate: Callable[[Self], Mapping[str, float]] | None = None,
        start: WarmStart[Self] | None = None,
    ) -> Self:
        """Train both towers; with ``start`` from its weights on, with its encoders, on its rows of ``train``.

        ``log_`` has one row an epoch: its loss, and what ``validate`` says of the channel as it stands then.
        """
        # Here, because recall needs no torch.
        from recsys.recall import tower_training

        def validated(trained: tower_training.Trained) -> Mapping[str, float]:
            return validate(self._use(*trained)) if validate is not None else {}

        if start is None:
            self.inputs_ = TowerInputs.fit(train, self.attributes, self.history_length, self.id_buckets)
        elif self.id_buckets is not None:
            raise ValueError("two_tower: shared rows (id_buckets) cannot be gone on from, only fitted anew")
        else:
            self.inputs_ = start.model.inputs_.refreshed(train, self.attributes)
        trained, self.log_ = tower_training.train(self, train, validated, start)
        self._use(*trained)
        self.search_ = Search.of(self.item_vectors_, self.unmet_, self.ann)
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return in_blocks(requests, k, lambda block: self._answer(block, k))

    def user_vectors(self, requests: Requests) -> np.ndarray:
        """Return unit vectors (n, embedding_dim) float32 of who asks; zeros where nothing is known."""
        inputs = self.inputs_.of_requests(requests)
        known = self.inputs_.known(requests.users, inputs)
        return np.where(known[:, None], self.user_tower_.vectors(inputs), np.float32(0))

    def nearest(self, vectors: np.ndarray, requests: Requests, k: int) -> Candidates:
        """Top ``k`` for ``vectors`` (n, embedding_dim) of who asks, without what the histories hold."""
        return self.search_.best_unseen(vectors, requests.seen, k)

    def history_weights(self, requests: Requests) -> np.ndarray:
        """Tell what the user tower's heads give to the last items, newest first.

        (n, history_length, heads) float32; a head's weights of a user add up to 1, without history to 0.
        """
        return self.user_tower_.history_weights(self.inputs_.of_requests(requests))

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, embedding_dim) float32; zeros for items that train has not met."""
        return self.item_vectors_

    @property
    def n_parameters(self) -> dict[str, int]:
        """How many numbers each of the towers' parameters holds, by its name."""
        return {name: each.size for name, each in self.weights_.items()}

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", self._params())
        write_arrays(folder / "item_vectors.npz", {"vectors": self.item_vectors_})
        self.inputs_.save(folder)
        save_weights(folder / WEIGHTS, self.weights_, self.inputs_.spec.fingerprint)
        self.search_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        params = read_json(folder / "params.json")
        channel = cls(**{**params, "hidden": tuple(params["hidden"])})
        channel.inputs_ = TowerInputs.load(folder)
        weights = load_weights(folder / WEIGHTS, channel.inputs_.spec.fingerprint)
        try:
            channel._use(weights, read_arrays(folder / "item_vectors.npz")["vectors"])
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"{folder / WEIGHTS}: not this network's weights ({error})") from error
        channel.search_ = Search.load(folder, channel.item_vectors_, channel.unmet_, channel.ann)
        return channel

    def _params(self) -> dict[str, object]:
        """Collect the hyperparameters; what comes from elsewhere is no such, and kept in what it made."""
        given = ("attributes", "id_vectors")
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in given}

    def _use(self, weights: Weights, item_vectors: np.ndarray) -> Self:
        self.weights_, self.item_vectors_ = weights, item_vectors
        spec = self.inputs_.spec.for_entity("user", "request")
        self.user_tower_ = UserTower.of(within(weights, "user"), self.pooling, spec)
        self.unmet_ = np.flatnonzero(self.inputs_.rows == 0)
        self.search_ = Search.of(item_vectors, self.unmet_)
        return self

    def _answer(self, requests: Requests, k: int) -> Candidates:
        return self.nearest(self.user_vectors(requests), requests, k)
