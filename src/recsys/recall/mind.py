"""MIND: several interests of a user, each with candidates of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from recsys.artifacts import ArtifactError, read_json, write_json
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_IDS
from recsys.inference import (
    PADDING,
    GroupedEmbedding,
    Weights,
    layers,
    load_weights,
    mlp,
    save_weights,
    within,
)
from recsys.recall.seen import best_unseen, in_blocks
from recsys.recall.tower_inputs import TowerInputs
from recsys.recall.user_tower import HistoryWeights, pooled, unit
from recsys.types import Candidates, Requests

if TYPE_CHECKING:
    from recsys.data.shards import Train

TINY = np.float32(1e-9)
"""`recsys.nn.mind.TINY`."""
WEIGHTS = "weights.safetensors"


@dataclass(kw_only=True, eq=False)
class MindRecall:
    """Top ``k`` by the largest cosine of any of a user's interests and an item's vector.

    After Li et al. (CIKM 2019): capsules route the last ``history_length`` items to at most ``interests``
    interests, fewer for a short history (its log2). In training those are mixed as the item that was met asks
    (label-aware attention, of ``sharpness``); examples and loss are `TwoTowerRecall`'s.

    A user of whom nothing is known gets an empty row. Items that train has not met are not recalled.
    """

    name: ClassVar[str] = "mind"

    attributes: Attributes | None = field(default=None, repr=False)
    embedding_dim: int = 64
    history_length: int = 50
    interests: int = 4
    iterations: int = 3
    sharpness: float = 10.0
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

    def fit(self, train: Train, validate: Callable[[Self], Mapping[str, float]] | None = None) -> Self:
        """Train on ``train``; ``log_`` has one row an epoch: its loss, and what ``validate`` says then."""
        # Here, because recall needs no torch.
        from recsys.recall import mind_training

        def validated(weights: Weights) -> Mapping[str, float]:
            return validate(self._use(weights)) if validate is not None else {}

        self.inputs_ = TowerInputs.fit(train, self.attributes, self.history_length)
        weights, self.log_ = mind_training.train(self, train, validated)
        return self._use(weights)

    def recall(self, requests: Requests, k: int) -> Candidates:
        return in_blocks(requests, k, lambda block: self._answer(block, k))

    def interests_of(self, requests: Requests) -> tuple[np.ndarray, np.ndarray]:
        """Return unit vectors of interests (n, interests, embedding_dim) float32, and how many each has (n,).

        None where nothing is known.
        """
        inputs = self.inputs_.of_requests(requests)
        inside = inputs[HISTORY_IDS] != PADDING
        lengths = inside.sum(axis=1)
        n = np.clip(np.frexp(lengths.astype(np.float64))[1] - 1, 1, self.interests)
        importance = self.pooling_(inputs) * lengths[:, None, None].astype(np.float32)
        # The newest item's moment, with the attributes, stands beside each interest.
        d = self.embedding_dim
        told = pooled(inputs, importance, self.pooling_.ids, len(self.layers_[0][0]))[:, d:]
        if self.attributes_ is not None:
            told[:, 2:] = self.attributes_(inputs)
        routed = self._routed(self.pooling_.ids[inputs[HISTORY_IDS]] @ self.bilinear_, importance, n)
        x = np.concatenate([routed, np.repeat(told[:, None], self.interests, axis=1)], axis=2)
        moved = mlp(x.reshape(-1, x.shape[2]), self.layers_).reshape(routed.shape)
        return unit(routed + moved), n * self.inputs_.known(requests.users, inputs)

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
        write_json(folder / "params.json", params)
        self.inputs_.save(folder)
        save_weights(folder / WEIGHTS, self.weights_, self.inputs_.spec.fingerprint)

    @classmethod
    def load(cls, folder: Path) -> Self:
        params = read_json(folder / "params.json")
        channel = cls(**{**params, "hidden": tuple(params["hidden"])})
        channel.inputs_ = TowerInputs.load(folder)
        weights = load_weights(folder / WEIGHTS, channel.inputs_.spec.fingerprint)
        try:
            return channel._use(weights)
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"{folder / WEIGHTS}: not this network's weights ({error})") from error

    def _use(self, weights: Weights) -> Self:
        self.weights_ = weights
        spec = self.inputs_.spec.for_entity("user", "request")
        self.pooling_ = HistoryWeights("weighted", weights["ids.weight"], within(weights, "pooling"))
        self.bilinear_ = np.ascontiguousarray(weights["bilinear.weight"].T)
        self.attributes_ = GroupedEmbedding(spec, within(weights, "attributes")) if spec.columns else None
        self.layers_ = layers(within(weights, "layers"))
        self.item_vectors_ = unit(weights["ids.weight"])[self.inputs_.rows]
        self.unmet_ = np.flatnonzero(self.inputs_.rows == 0)
        return self

    def _answer(self, requests: Requests, k: int) -> Candidates:
        scores = np.full((len(requests), len(self.item_vectors_)), -np.inf, dtype=np.float32)
        for row, (interests, n) in enumerate(zip(*self.interests_of(requests), strict=True)):
            if n:
                scores[row] = (interests[:n] @ self.item_vectors_.T).max(axis=0)
        scores[:, self.unmet_] = -np.inf
        return best_unseen(scores, requests.seen, k)

    def _routed(self, behaviours: np.ndarray, importance: np.ndarray, n: np.ndarray) -> np.ndarray:
        """`recsys.nn.mind.Mind`'s capsules, (n, interests, d): products of each row alone."""
        absent = np.arange(self.interests) >= n[:, None]
        logits = np.where(absent[:, None], np.float32(-np.inf), self.weights_["routing"])
        for round_ in range(self.iterations):
            weights = np.exp(logits - logits.max(axis=2, keepdims=True))
            weights *= importance / weights.sum(axis=2, keepdims=True)
            capsules = weights.transpose(0, 2, 1) @ behaviours
            square = (capsules * capsules).sum(axis=2, keepdims=True)
            capsules *= square / ((1 + square) * np.sqrt(square + TINY))
            if round_ < self.iterations - 1:
                logits = logits + behaviours @ capsules.transpose(0, 2, 1)
        return np.asarray(capsules)
