"""Models of torch-rechub (https://github.com/datawhalechina/torch-rechub), trained as its examples do.

Its own generation of examples is a loop in Python and keeps the oldest items of a history; here batches are
cut from arrays, and a history is the newest 50. The models, their losses and the trainer are the library's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from exchange import Moment, Rank, answer
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.matching import DSSM, MIND, YoutubeDNN
from torch_rechub.trainers import MatchTrainer

LENGTH = 50
HISTORY, ITEM, NEGATIVES = "hist_item", "item", "neg_items"
Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


class Examples:
    """Who had met what then met which item: every interaction but a user's first, in a new order each epoch.

    Items are counted from 1: 0 pads. Negatives are drawn by popularity to the power of 0.75. ``mode`` is
    that of the trainer: 0 asks for a row an item with its label, 2 for the positive and its negatives in one.
    """

    def __init__(self, moment: Moment, batch_size: int, negatives: int, mode: int, seed: int) -> None:
        self.moment, self.batch_size, self.negatives, self.mode = moment, batch_size, negatives, mode
        self.items, self.ends = moment.sequences()
        self.owner = np.repeat(np.arange(moment.n_users), np.diff(self.ends))
        self.positions = np.flatnonzero(np.arange(len(self.items)) > self.ends[self.owner])
        counts = np.bincount(moment.item_idx, minlength=moment.n_items) ** 0.75
        self.popularity = counts.cumsum() / counts.sum()
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.positions) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for rows in np.array_split(self.random.permutation(self.positions), len(self)):
            yield self.pointwise(rows) if self.mode == 0 else self.listwise(rows)

    def pointwise(self, rows: np.ndarray) -> Batch:
        every = np.repeat(rows, 1 + self.negatives)
        items = np.column_stack([self.items[rows], self.drawn(len(rows))]).ravel()
        labels = np.tile([1] + [0] * self.negatives, len(rows))
        return tensors(self.features(self.owner[every], every) | self.described(items)), torch.tensor(labels)

    def listwise(self, rows: np.ndarray) -> Batch:
        features = self.features(self.owner[rows], rows) | self.described(self.items[rows])
        return tensors(features | {NEGATIVES: self.drawn(len(rows)) + 1}), torch.zeros(len(rows))

    def drawn(self, n: int) -> np.ndarray:
        return np.searchsorted(self.popularity, self.random.random((n, self.negatives)), side="right")

    def features(self, users: np.ndarray, positions: np.ndarray) -> dict[str, np.ndarray]:
        """What is known of users just before ``positions`` of `items`."""
        places = positions[:, None] - np.arange(1, LENGTH + 1)
        inside = places >= self.ends[users][:, None]
        history = np.where(inside, self.items[np.where(inside, places, 0)] + 1, 0)
        return {"user": users + 1, HISTORY: history} | columns("user", self.moment.user_attributes[users])

    def described(self, items: np.ndarray) -> dict[str, np.ndarray]:
        return {ITEM: items + 1} | columns("item", self.moment.item_attributes[items])


def columns(entity: str, codes: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{entity}_{number}": codes[:, number] for number in range(codes.shape[1])}


def tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}


def sparse_features(entity: str, n: int, codes: np.ndarray, dim: int) -> list[SparseFeature]:
    every = [SparseFeature(entity, vocab_size=n + 1, embed_dim=dim)]
    for name, column in columns(entity, codes).items():
        every.append(SparseFeature(name, vocab_size=int(column.max()) + 1, embed_dim=dim))
    return every


def sequence_feature(name: str, moment: Moment, dim: int, pooling: str) -> SequenceFeature:
    return SequenceFeature(name, moment.n_items + 1, dim, pooling=pooling, shared_with=ITEM, padding_idx=0)


def dssm(moment: Moment, settings: Mapping[str, Any]) -> torch.nn.Module:
    dim, tower = settings["embedding_dim"], {"dims": settings["dims"], "activation": "prelu"}
    users = sparse_features("user", moment.n_users, moment.user_attributes, dim)
    users.append(sequence_feature(HISTORY, moment, dim, "mean"))
    items = sparse_features(ITEM, moment.n_items, moment.item_attributes, dim)
    return DSSM(users, items, user_params=tower, item_params=dict(tower), temperature=settings["temperature"])


def youtube_dnn(moment: Moment, settings: Mapping[str, Any]) -> torch.nn.Module:
    dim = settings["embedding_dim"]
    users = sparse_features("user", moment.n_users, moment.user_attributes, dim)
    users.append(sequence_feature(HISTORY, moment, dim, "mean"))
    return YoutubeDNN(
        users,
        sparse_features(ITEM, moment.n_items, moment.item_attributes, dim)[:1],
        [sequence_feature(NEGATIVES, moment, dim, "concat")],
        user_params={"dims": [*settings["dims"], dim]},
        temperature=settings["temperature"],
    )


def mind(moment: Moment, settings: Mapping[str, Any]) -> torch.nn.Module:
    dim = settings["embedding_dim"]
    return MIND(
        sparse_features("user", moment.n_users, moment.user_attributes, dim),
        [sequence_feature(HISTORY, moment, dim, "concat")],
        sparse_features(ITEM, moment.n_items, moment.item_attributes, dim)[:1],
        [sequence_feature(NEGATIVES, moment, dim, "concat")],
        max_length=LENGTH,
        temperature=settings["temperature"],
        interest_num=settings["interests"],
    )


def trained(
    make: Callable[[Moment, Mapping[str, Any]], torch.nn.Module],
    mode: int,
    moment: Moment,
    settings: Mapping[str, Any],
    epochs: list[int],
) -> Iterator[tuple[int, Rank]]:
    torch.set_num_threads(1)
    torch.manual_seed(settings["seed"])
    in_batch = settings.get("in_batch", False)
    # In-batch negatives need the positives alone, a row each.
    examples = Examples(
        moment, settings["batch_size"], 0 if in_batch else settings["negatives"], mode, settings["seed"]
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = MatchTrainer(
            make(moment, settings),
            mode=mode,
            in_batch_neg=in_batch,
            in_batch_neg_ratio=settings["negatives"] if in_batch else None,
            optimizer_params={"lr": settings["learning_rate"], "weight_decay": settings["weight_decay"]},
            model_path=folder,
            sampler_seed=settings["seed"],
        )
        for done in range(1, max(epochs) + 1):
            trainer.train_one_epoch(examples)
            if done in epochs:
                yield done, moment.rank_by(scores(trainer.model, examples))


def scores(model: torch.nn.Module, examples: Examples) -> Callable[[np.ndarray], np.ndarray]:
    """The product of a user's and an item's vector; the largest, where a user has several."""
    moment = examples.moment
    items = embedded(model, "item", examples.described(np.arange(moment.n_items)))
    met = np.bincount(moment.item_idx, minlength=moment.n_items) > 0

    def score(users: np.ndarray) -> np.ndarray:
        vectors = embedded(model, "user", examples.features(users, examples.ends[users + 1]))
        found = vectors.reshape(len(users), -1, vectors.shape[-1]) @ items.T
        return np.where(met, found.max(axis=1), -np.inf)

    return score


def embedded(model: torch.nn.Module, mode: str, features: Mapping[str, np.ndarray]) -> np.ndarray:
    training, model.mode = model.training, mode
    model.eval()
    with torch.no_grad():
        vectors = model(tensors(features)).numpy()
    model.mode = None
    model.train(training)
    return vectors


if __name__ == "__main__":
    answer(
        {
            "dssm": partial(trained, dssm, 0),
            "youtube_dnn": partial(trained, youtube_dnn, 2),
            "mind": partial(trained, mind, 2),
        }
    )
