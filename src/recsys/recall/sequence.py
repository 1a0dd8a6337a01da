"""Sequence: a self-attentive model of what a user meets next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from recsys.artifacts import ArtifactError, read_json, write_json
from recsys.inference import Weights, load_weights, save_weights
from recsys.recall.ann import Kind, Search
from recsys.recall.seen import in_blocks
from recsys.recall.sequence_encoder import SequenceEncoder
from recsys.recall.sequence_inputs import SequenceInputs
from recsys.types import Candidates, Requests

if TYPE_CHECKING:
    from recsys.data.shards import Train

WEIGHTS = "weights.safetensors"


@dataclass(kw_only=True, eq=False)
class SequenceRecall:
    """Top ``k`` by what self-attention over the last ``history_length`` items expects next.

    SASRec (Kang & McAuley, ICDM 2018) with what has made it stronger since: the loss is a softmax over all
    items (Klenitskiy & Vasilev, RecSys 2023), attention knows places and time by their distance (Zhai et
    al., ICML 2024), and a request reads the history, told how long ago the newest item was.

    Histories are cut into windows, and every place of them is trained at once; items of one moment are
    shuffled anew each epoch, as their order says nothing. For a share ``held_back`` of the places the next
    1 to ``held_back_items`` (log-uniform) are left out, and the item after them is asked for: so the channel
    learns to look further ahead than the next item.

    ``ann`` says how the items that fit what is expected best are found (`recsys.recall.ann.Search`);
    ``flat`` compares all.

    Whoever has met nothing that train knows gets an empty row; items that train has not met are not recalled.
    """

    name: ClassVar[str] = "sequence"

    embedding_dim: int = 64
    history_length: int = 64
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2
    batch_size: int = 4096
    held_back: float = 0.0
    held_back_items: int = 1000
    epochs: int = 8
    learning_rate: float = 0.004
    regularization: float = 0.01
    ann: Kind = "flat"
    seed: int = 0
    threads: int = 1
    processes: int = 1

    def fit(self, train: Train, validate: Callable[[Self], Mapping[str, float]] | None = None) -> Self:
        """Train on ``train``; ``log_`` has one row an epoch: its loss, and what ``validate`` says then."""
        # Here, because recall needs no torch.
        from recsys.recall import sequence_training

        def validated(weights: Weights) -> Mapping[str, float]:
            return validate(self._use(weights)) if validate is not None else {}

        self.inputs_ = SequenceInputs.fit(train, self.history_length)
        weights, self.log_ = sequence_training.train(self, train, validated)
        self._use(weights)
        self.search_ = Search.of(self.item_vectors_, self.unmet_, self.ann)
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return in_blocks(requests, k, lambda block: self.nearest(self.user_vectors(block), block, k))

    def user_vectors(self, requests: Requests) -> np.ndarray:
        """What is expected next, (n, embedding_dim) float32; zeros where nothing is known."""
        vectors = np.zeros((len(requests), self.embedding_dim), dtype=np.float32)
        for row in range(len(requests)):
            if (history := self.inputs_.of_request(requests, row)) is not None:
                vectors[row] = self.encoder_.vector(history)
        return vectors

    def nearest(self, vectors: np.ndarray, requests: Requests, k: int) -> Candidates:
        """Top ``k`` for ``vectors`` (n, embedding_dim) of who asks, without what the histories hold."""
        return self.search_.best_unseen(vectors, requests.seen, k)

    @property
    def item_vectors(self) -> np.ndarray:
        """Vectors (n_items, embedding_dim) float32; zeros for items that train has not met."""
        return np.asarray(self.item_vectors_)

    @property
    def n_parameters(self) -> dict[str, int]:
        """How many numbers each of the network's parameters holds, by its name."""
        return {name: each.size for name, each in self.weights_.items()}

    def save(self, folder: Path) -> None:
        params = {each.name: getattr(self, each.name) for each in fields(self)}
        write_json(folder / "params.json", params)
        self.inputs_.save(folder)
        save_weights(folder / WEIGHTS, self.weights_, self.inputs_.fingerprint)
        self.search_.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        channel = cls(**read_json(folder / "params.json"))
        channel.inputs_ = SequenceInputs.load(folder)
        weights = load_weights(folder / WEIGHTS, channel.inputs_.fingerprint)
        try:
            channel._use(weights)
        except (KeyError, ValueError) as error:
            raise ArtifactError(f"{folder / WEIGHTS}: not this network's weights ({error})") from error
        channel.search_ = Search.load(folder, channel.item_vectors_, channel.unmet_, channel.ann)
        return channel

    def _use(self, weights: Weights) -> Self:
        self.weights_ = weights
        self.encoder_ = SequenceEncoder.of(weights, self.blocks, self.heads)
        self.item_vectors_ = weights["ids.weight"][self.inputs_.rows]
        self.unmet_ = np.flatnonzero(self.inputs_.rows == 0)
        self.search_ = Search.of(self.item_vectors_, self.unmet_)
        return self
