"""YouTube's candidate network: what was met, pooled, goes through layers and is compared with items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np

from recsys.artifacts import ArtifactError, read_json, write_json
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_IDS, HISTORY_VALUE, YEAR_LOG
from recsys.inference import (
    PADDING,
    Arrays,
    GroupedEmbedding,
    Weights,
    layers,
    load_weights,
    mlp,
    save_weights,
    within,
)
from recsys.recall.seen import best_unseen_products, in_blocks
from recsys.recall.tower_inputs import TowerInputs
from recsys.recall.user_tower import HistoryWeights, pooled, unit
from recsys.types import DAY, Candidates, Requests

if TYPE_CHECKING:
    from recsys.data.shards import Train
    from recsys.nn.youtube_dnn import Kind

WEIGHTS = "weights.safetensors"
EXAMPLE_AGE = "example_age"
VALUE_FLOOR = np.float32(0.1)
"""What an item of value 0 counts in a sum or mean; one of value 1 counts 1 more."""
Loss = Literal["sampled_softmax", "sampled_negatives"]


@dataclass(kw_only=True, eq=False)
class YoutubeDnnRecall:
    """Top ``k`` by the cosine of what a deep network makes of a user and an item's vector.

    After Covington et al. (RecSys 2016): the last ``history_length`` items by their vectors, pooled by
    ``pooling`` (``sum`` and ``mean`` weigh by the value of the feedback, ``attention`` and ``self_attention``
    learn to, as `recsys.nn.pooling.HistoryPooling`), the newest item once more, the age of the example, and
    attributes. In service an example is as old as the request is before the newest event of train: of age 0,
    as a rule.

    Each interaction of train is an example, as `TwoTowerRecall` has them. The ``loss`` is a softmax over the
    items of the batch and ``uniform_negatives`` more, made up for how often each is drawn, or one over the
    own item and ``n_negatives`` uniform ones.

    A user of whom nothing is known gets an empty row. Items that train has not met are not recalled.
    """

    name: ClassVar[str] = "youtube_dnn"

    attributes: Attributes | None = field(default=None, repr=False)
    embedding_dim: int = 64
    history_length: int = 50
    pooling: Kind = "attention"
    heads: int = 3
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = 0.1
    loss: Loss = "sampled_softmax"
    temperature: float = 0.07
    batch_size: int = 1024
    uniform_negatives: int = 512
    n_negatives: int = 10
    logq_correction: bool = True
    held_back: float = 0.5
    held_back_items: int = 1000
    epochs: int = 2
    learning_rate: float = 0.002
    regularization: float = 0.0
    seed: int = 0
    threads: int = 1
    processes: int = 1

    def fit(self, train: Train, validate: Callable[[Self], Mapping[str, float]] | None = None) -> Self:
        """Train on ``train``; ``log_`` has one row an epoch: its loss, and what ``validate`` says then."""
        # Here, because recall needs no torch.
        from recsys.recall import youtube_dnn_training

        def validated(weights: Weights) -> Mapping[str, float]:
            return validate(self._use(weights)) if validate is not None else {}

        self.inputs_ = TowerInputs.fit(train, self.attributes, self.history_length)
        self.newest_ = train.newest
        weights, self.log_ = youtube_dnn_training.train(self, train, validated)
        return self._use(weights)

    def recall(self, requests: Requests, k: int) -> Candidates:
        return in_blocks(requests, k, lambda block: self._answer(block, k))

    def of_requests(self, requests: Requests) -> dict[str, np.ndarray]:
        """Encode what the network reads: `TowerInputs`' columns and how old each request is, about 0 to 1."""
        days = np.maximum(self.newest_ - requests.now, 0) / DAY
        return self.inputs_.of_requests(requests) | {
            EXAMPLE_AGE: (np.log1p(days) / YEAR_LOG).astype(np.float32)
        }

    def user_vectors(self, requests: Requests) -> np.ndarray:
        """Return unit vectors (n, embedding_dim) float32 of who asks; zeros where nothing is known."""
        inputs = self.of_requests(requests)
        known = self.inputs_.known(requests.users, inputs)
        return np.where(known[:, None], self._vectors(inputs), np.float32(0))

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, embedding_dim) float32; zeros for items that train has not met."""
        return np.asarray(self.item_vectors_)

    @property
    def n_parameters(self) -> dict[str, int]:
        """How many numbers each of the network's parameters holds, by its name."""
        return {name: each.size for name, each in self.weights_.items()}

    def save(self, folder: Path) -> None:
        params = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "attributes"}
        write_json(folder / "params.json", {"params": params, "newest": self.newest_})
        self.inputs_.save(folder)
        save_weights(folder / WEIGHTS, self.weights_, self.inputs_.spec.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Self:
        told = read_json(folder / "params.json")
        channel = cls(**{**told["params"], "hidden": tuple(told["params"]["hidden"])})
        channel.inputs_, channel.newest_ = TowerInputs.load(folder), told["newest"]
        weights = load_weights(folder / WEIGHTS, channel.inputs_.spec.fingerprint)
        try:
            return channel._use(weights)
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"{folder / WEIGHTS}: not this network's weights ({error})") from error

    def _use(self, weights: Weights) -> Self:
        self.weights_ = weights
        spec = self.inputs_.spec.for_entity("user", "request")
        self.ids_, self.attended_ = weights["ids.weight"], None
        if self.pooling != "sum" and self.pooling != "mean":
            self.attended_ = HistoryWeights(self.pooling, self.ids_, within(weights, "pooling"))
        self.attributes_ = GroupedEmbedding(spec, within(weights, "attributes")) if spec.columns else None
        self.layers_ = layers(within(weights, "layers"))
        self.item_vectors_ = unit(weights["outputs.weight"])[self.inputs_.rows]
        self.unmet_ = np.flatnonzero(self.inputs_.rows == 0)
        return self

    def _answer(self, requests: Requests, k: int) -> Candidates:
        vectors = self.user_vectors(requests)
        return best_unseen_products(vectors, self.item_vectors_, self.unmet_, requests.seen, k)

    def _vectors(self, inputs: Arrays) -> np.ndarray:
        """`recsys.nn.youtube_dnn.YoutubeDnn`, a row as alone."""
        parts = [self.ids_[inputs[HISTORY_IDS][:, 0]], inputs[EXAMPLE_AGE][:, None]]
        if self.attributes_ is not None:
            parts.append(self.attributes_(inputs))
        told = np.concatenate(parts, axis=1)
        x = pooled(inputs, self._history_weights(inputs), self.ids_, len(self.layers_[0][0]))
        x[:, -told.shape[1] :] = told
        return unit(mlp(x, self.layers_))

    def _history_weights(self, inputs: Arrays) -> np.ndarray:
        """What each item of the history counts, (n, length, heads) float32."""
        if self.attended_ is not None:
            return self.attended_(inputs)
        weights = (VALUE_FLOOR + inputs[HISTORY_VALUE]) * (inputs[HISTORY_IDS] != PADDING)
        if self.pooling == "mean":
            weights /= np.maximum(weights.sum(axis=1, keepdims=True), VALUE_FLOOR)
        return np.asarray(weights[:, :, None], dtype=np.float32)
