"""A factorization machine, its score parted between the two who meet."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from recsys.features.spec import FeatureSpec
from recsys.inference import PADDING
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.towers import Features, id_embedding


class FactorizationMachine(nn.Module):
    """Every pair of features interacts by the product of its vectors (Rendle, ICDM 2010).

    Of the score's pairs, those of a user's with an item's feature add up to the product of the two sums of
    vectors; those within an item, with its features' weights, to a number of the item. What is the user's
    alone orders nothing and is left out. So a score is user vector · item vector + the item's weight.

    Features are a user's id, columns and last items (``met``), and an item's id and columns. Ids are
    rows from 1 on, 0 is who is unknown. A column that holds a list counts as the mean of its entries.
    """

    def __init__(self, n_users: int, n_items: int, user: FeatureSpec, item: FeatureSpec, d: int) -> None:
        super().__init__()
        self.users = id_embedding(n_users, d)
        self.met = id_embedding(n_items, d)
        # One number more: what the feature is worth by itself.
        self.items = id_embedding(n_items, d + 1)
        nn.init.zeros_(self.items.weight[:, d])
        self.user_columns = _embedding(user, d)
        self.item_columns = _embedding(item, d + 1)

    def forward(
        self, users: Tensor, met: Tensor, weights: Tensor, items: Tensor, features: Features
    ) -> tuple[Tensor, Tensor]:
        """Vectors (b, d + 1) of users and (m, d + 1) of ``items``, whose products are scores.

        ``met`` (b, length) are items that count ``weights`` (b, length); ``features`` hold all columns.
        """
        last = nn.functional.embedding_bag(
            met,
            self.met.weight,
            per_sample_weights=weights,
            mode="sum",
            padding_idx=PADDING,
            sparse=self.met.sparse,
        )
        known = self.user_vectors(users, features) + last
        return nn.functional.pad(known, (0, 1), value=1.0), self.item_vectors(items, features)

    def user_vectors(self, users: Tensor, features: Features) -> Tensor:
        """Vectors (b, d) of ``users`` (b,) without what they met."""
        vectors: Tensor = self.users(users)
        if self.user_columns is None:
            return vectors
        return vectors + _fields(self.user_columns, features).sum(dim=1)

    def item_vectors(self, items: Tensor, features: Features) -> Tensor:
        """Vectors (m, d + 1) of ``items`` (m,); the last number is the item's weight."""
        fields = self.items(items).unsqueeze(1)
        if self.item_columns is not None:
            fields = torch.cat([fields, _fields(self.item_columns, features)], dim=1)
        vectors, weights = fields[:, :, :-1], fields[:, :, -1:]
        total = vectors.sum(dim=1)
        # All pairs at once: the square of a sum is the squares and twice the pairs.
        pairs = (total.square() - vectors.square().sum(dim=1)).sum(dim=1, keepdim=True) / 2
        return torch.cat([total, weights.sum(dim=1) + pairs], dim=1)


def _embedding(spec: FeatureSpec, d: int) -> GroupedEmbedding | None:
    """Each column is a group of its own, for each meets all others."""
    alone = tuple(replace(each, column=replace(each.column, group=each.name)) for each in spec.columns)
    return GroupedEmbedding(FeatureSpec(alone), d) if alone else None


def _fields(columns: GroupedEmbedding, features: Features) -> Tensor:
    """(n, columns, d)."""
    fields: Tensor = columns(features)
    return fields.view(len(fields), -1, columns.embedding_dim)
