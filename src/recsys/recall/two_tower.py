"""Two towers: a user and an item are near in one space if the one is to meet the other next."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, Self

import faiss
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from scipy import sparse
from torch import Tensor, nn

from recsys.artifacts import ArtifactError, read_arrays, read_json, replacing, write_arrays, write_json
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE
from recsys.features.spec import FeatureSpec
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.losses import sampled_softmax
from recsys.nn.pooling import HistoryPooling, Kind
from recsys.nn.towers import PADDING, ItemTower, TwoTower, UserTower, id_embedding
from recsys.recall.seen import best_unseen_of, in_blocks
from recsys.recall.tower_inputs import Arrays, TowerInputs
from recsys.train import Batch, fit, one_cycle, reproducible
from recsys.types import Candidates, Histories, Interactions, Requests

ITEM_ROWS, LOG_Q = "item_rows", "log_q"
ROWS = 64
"""Users in one search, always: sums of another shape are added up in another order."""


@dataclass(kw_only=True, eq=False)
class TwoTowerRecall:
    """Exact top ``k`` by the cosine of a user's and an item's vector.

    Each interaction of train is an example: whoever had done what came before it met, at that moment, this
    item. Negatives are the other items of the batch (Yi et al., RecSys 2019) and ``uniform_negatives`` of the
    catalogue (Yang et al., WWW 2020 companion). In a share ``held_back`` of the examples the newest 1 to
    ``held_back_items`` of the history (log-uniform) are kept from the user tower: so it learns to look
    further ahead than the next item.

    With ``attributes`` the towers read these too, and a known user without history is answered; whoever has
    neither gets an empty row. Items that train has not met are not recalled.
    """

    name: ClassVar[str] = "two_tower"

    attributes: Attributes | None = field(default=None, repr=False)
    embedding_dim: int = 64
    history_length: int = 50
    pooling: Kind = "weighted"
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

    def fit(self, train: Interactions, validate: Callable[[Self], Mapping[str, float]] | None = None) -> Self:
        """Train both towers.

        ``log_`` has one row an epoch: its loss, and what ``validate`` says of the channel as it stands then.
        """

        def validated(_: nn.Module) -> Mapping[str, float]:
            self._embed_items()
            return validate(self) if validate is not None else {}

        self.inputs_ = TowerInputs.fit(train, self.attributes, self.history_length)
        with reproducible(self.seed, self.threads):
            self.network_ = self._network()
        self.log_ = fit(
            self.network_,
            _Examples(self, train),
            self._loss,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            schedule=one_cycle,
            validate=validated,
            seed=self.seed,
            threads=self.threads,
        )
        return self

    def recall(self, requests: Requests, k: int) -> Candidates:
        return in_blocks(requests, k, len(self.item_vectors_), lambda block: self._answer(block, k))

    def user_vectors(self, requests: Requests) -> np.ndarray:
        """Return unit vectors (n, embedding_dim) float32 of who asks; zeros where nothing is known."""
        with torch.no_grad():
            blocks = [self._user_block(requests[at : at + ROWS]) for at in range(0, len(requests), ROWS)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.embedding_dim), dtype=np.float32)

    def history_weights(self, requests: Requests) -> np.ndarray:
        """Tell what the user tower's heads give to the last items, newest first.

        (n, history_length, heads) float32; a head's weights of a user add up to 1, without history to 0.
        """
        batch = _tensors(self.inputs_.of_requests(requests))
        user, ids = self.network_.user, batch[HISTORY_IDS]
        with torch.no_grad():
            weights = user.pooling.weights(
                user.ids(ids), batch[HISTORY_AGE], batch[HISTORY_VALUE], ids != PADDING
            )
        return np.asarray(weights.numpy())

    @property
    def item_vectors(self) -> np.ndarray:
        """Unit vectors (n_items, embedding_dim) float32; zeros for items that train has not met."""
        return self.item_vectors_

    def save(self, folder: Path) -> None:
        write_json(folder / "params.json", self._params())
        write_arrays(folder / "item_vectors.npz", {"vectors": self.item_vectors_})
        self.inputs_.save(folder)
        with replacing(folder / "weights.safetensors") as temporary:
            save_file(_weights(self.network_), temporary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        params = read_json(folder / "params.json")
        channel = cls(**{**params, "hidden": tuple(params["hidden"])})
        channel.inputs_ = TowerInputs.load(folder)
        with reproducible(channel.seed, channel.threads):
            channel.network_ = channel._network().eval()
        _restore(channel.network_, folder / "weights.safetensors")
        channel._index(read_arrays(folder / "item_vectors.npz")["vectors"])
        return channel

    def _params(self) -> dict[str, object]:
        """Collect the hyperparameters; attributes are no such, and `TowerInputs` keeps what they told."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "attributes"}

    def _network(self) -> TwoTower:
        d, spec = self.embedding_dim, self.inputs_.spec
        ids = id_embedding(len(self.inputs_.rows), d)
        pooling = HistoryPooling(d, self.history_length, self.pooling, self.heads)
        item = _embedding(spec.for_entity("item"), d)
        user = _embedding(spec.for_entity("user", "request"), d, item)
        return TwoTower(
            UserTower(ids, pooling, user, self.hidden, self.dropout), ItemTower(ids, item, self.hidden)
        )

    def _loss(self, network: nn.Module, batch: Batch) -> Tensor:
        rows = batch[ITEM_ROWS]
        users, items = network(batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE], rows, batch)
        return sampled_softmax(users, items, rows, self.temperature, batch.get(LOG_Q))

    def _user_block(self, requests: Requests) -> np.ndarray:
        inputs = self.inputs_.of_requests(requests)
        batch = _tensors(inputs, torch.float64)
        vectors: Tensor = self.user_tower_(
            batch[HISTORY_IDS], batch[HISTORY_AGE], batch[HISTORY_VALUE], batch
        )
        known = self.inputs_.known(requests.users, inputs)
        return np.where(known[:, None], vectors.float().numpy(), np.float32(0))

    def _embed_items(self) -> None:
        met = np.flatnonzero(self.inputs_.rows)
        vectors = np.zeros((len(self.inputs_.rows), self.embedding_dim), dtype=np.float32)
        with torch.no_grad():
            features = _tensors(self.inputs_.of_items(met))
            vectors[met] = self.network_.item(torch.from_numpy(self.inputs_.rows[met]), features).numpy()
        self._index(vectors)

    def _index(self, item_vectors: np.ndarray) -> None:
        self.item_vectors_ = item_vectors
        # The last bits of a product depend on who else is in the batch: in doubles, they round away.
        self.user_tower_ = copy.deepcopy(self.network_.user).double().eval()
        self.index_ = faiss.IndexFlatIP(self.embedding_dim)
        self.index_.add(item_vectors[self.inputs_.rows > 0])

    def _answer(self, requests: Requests, k: int) -> Candidates:
        vectors = self.user_vectors(requests)
        met = np.flatnonzero(self.inputs_.rows)
        found = []
        for start in range(0, len(requests), ROWS):
            block = slice(start, start + ROWS)
            # No more than a whole history can fall out of the list.
            depth = min(k + int(requests.history[block].lengths.max()), len(met))
            n = len(vectors[block])
            scores, at = (each[:n] for each in self.index_.search(_filled(vectors[block]), depth))
            found.append(_sparse(scores, met[at], np.any(vectors[block], axis=1), len(self.item_vectors_)))
        return best_unseen_of(sparse.vstack(found, format="csr"), requests.history, k)


class _Examples:
    """Batches of train, shuffled anew each epoch; each example is a request and the item that was met."""

    def __init__(self, channel: TwoTowerRecall, train: Interactions) -> None:
        self.channel = channel
        self.train = train
        self.before = train.histories_before(np.arange(len(train)))
        self.met = np.flatnonzero(channel.inputs_.rows)
        self.share = np.bincount(train.item_idx, minlength=train.n_items) / len(train)

    def __len__(self) -> int:
        return -(-len(self.train) // self.channel.batch_size)

    def __call__(self, epoch: int) -> Iterator[Batch]:
        rng = np.random.default_rng([self.channel.seed, epoch])
        order = rng.permutation(len(self.train))
        for start in range(0, len(order), self.channel.batch_size):
            yield self._batch(order[start : start + self.channel.batch_size], rng)

    def _batch(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        channel, train = self.channel, self.train
        history = self._held_back(self.before[rows], rng)
        users = train.user_idx[rows].astype(np.int64)
        arrays = channel.inputs_.of_requests(Requests(users, train.timestamp[rows], history))
        items = np.concatenate([train.item_idx[rows], rng.choice(self.met, channel.uniform_negatives)])
        arrays |= channel.inputs_.of_items(items)
        arrays[ITEM_ROWS] = channel.inputs_.rows[items]
        if channel.logq_correction:
            expected = len(rows) * self.share + channel.uniform_negatives / len(self.met)
            arrays[LOG_Q] = np.log(expected[items]).astype(np.float32)
        return _tensors(arrays)

    def _held_back(self, history: Histories, rng: np.random.Generator) -> Histories:
        n, most = len(history), self.channel.held_back_items
        held = np.exp(rng.random(n) * np.log(most + 1)).astype(np.int64)
        held *= rng.random(n) < self.channel.held_back
        return replace(history, ends=np.maximum(history.ends - held, history.starts))


def _embedding(
    spec: FeatureSpec, embedding_dim: int, shared: GroupedEmbedding | None = None
) -> GroupedEmbedding | None:
    return GroupedEmbedding(spec, embedding_dim, shared=shared) if spec.columns else None


def _tensors(arrays: Arrays, floats: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Make tensors of ``arrays``, those of floats in the precision asked for."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
    return {name: each.to(floats) if each.is_floating_point() else each for name, each in tensors.items()}


def _filled(block: np.ndarray) -> np.ndarray:
    """``block`` with its last row repeated up to ROWS."""
    return block[np.minimum(np.arange(ROWS), len(block) - 1)]


def _sparse(scores: np.ndarray, items: np.ndarray, known: np.ndarray, n_items: int) -> sparse.csr_matrix:
    """Put what was found into a matrix (users, n_items); nothing for who is not ``known``."""
    n, depth = scores.shape
    ends = np.concatenate([[0], np.cumsum(known * depth)])
    return sparse.csr_matrix((scores[known].ravel(), items[known].ravel(), ends), shape=(n, n_items))


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """State of ``network``; a tensor that both towers share is in it once."""
    return {name: each.detach() for name, each in network.named_parameters()}


def _restore(network: nn.Module, path: Path) -> None:
    try:
        weights = load_file(path)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(weights[name])
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"{path}: cannot be read as this network's weights ({error})") from error
