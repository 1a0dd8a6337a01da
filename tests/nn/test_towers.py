"""Towers."""

import numpy as np
import torch
from torch import Tensor

from recsys.features.spec import Column, FeatureSpec
from recsys.nn.embedding import GroupedEmbedding
from recsys.nn.pooling import HistoryPooling
from recsys.nn.towers import PADDING, ItemTower, TwoTower, UserTower, id_embedding, mlp

N_ITEMS, WIDTH, LENGTH = 6, 4, 3
GENRE = FeatureSpec.fit(
    {"item": {"genre": np.array(["a", "b"])}}, [Column("genre", "vocabulary", "item", "g")]
)


def history() -> tuple[Tensor, Tensor, Tensor]:
    ids = torch.tensor([[1, 2, 3], [4, PADDING, PADDING], [PADDING] * 3])
    return ids, torch.zeros(3, LENGTH), torch.ones(3, LENGTH)


def user_tower(ids: torch.nn.Embedding) -> UserTower:
    return UserTower(ids, HistoryPooling(WIDTH, LENGTH), None, hidden=(5,)).eval()


def test_mlp_has_no_activation_at_its_end():
    assert isinstance(mlp([3, 4, 2])[-1], torch.nn.Linear)
    assert mlp([3, 2])(torch.zeros(1, 3)).shape == (1, 2)


def test_vectors_are_of_unit_length():
    ids = id_embedding(N_ITEMS, WIDTH)
    vectors = torch.cat([user_tower(ids)(*history(), {}), ItemTower(ids, None, ())(torch.arange(1, 7), {})])
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(9))


def test_history_and_items_share_their_embedding():
    ids = id_embedding(N_ITEMS, WIDTH)
    network = TwoTower(user_tower(ids), ItemTower(ids, None, ()))
    names = [name for name, _ in network.named_parameters() if name.endswith("ids.weight")]
    assert names == ["user.ids.weight"]


def test_items_of_one_embedding_differ_by_their_attributes():
    ids = id_embedding(N_ITEMS, WIDTH)
    tower = ItemTower(ids, GroupedEmbedding(GENRE, WIDTH), hidden=(5,))
    one, other = tower(torch.tensor([1, 1]), {"genre": torch.tensor([1, 2])})
    assert not torch.allclose(one, other)


def test_padding_takes_no_gradient():
    ids = id_embedding(N_ITEMS, WIDTH)
    user_tower(ids)(*history(), {}).sum().backward()
    assert not ids.weight.grad[PADDING].any()
    assert ids.weight.grad[1].any()


def test_user_tower_exports():
    # As one graph for every input: a branch on data would not.
    tower = user_tower(id_embedding(N_ITEMS, WIDTH))
    graph = torch.export.export(tower, (*history(), {})).module()
    flipped = tuple(each.flip(0) for each in history())
    torch.testing.assert_close(graph(*flipped, {}), tower(*flipped, {}))


def test_the_newest_items_age_moves_the_user():
    ids, ages, values = history()
    tower = user_tower(id_embedding(N_ITEMS, WIDTH))
    later = tower(ids, ages + 3, values, {})
    assert (later - tower(ids, ages, values, {})).abs().max() > 1e-4
