import numpy as np
import pandas as pd
import pytest
import torch

from recsys.features.spec import Column, FeatureSpec
from recsys.nn.embedding import GroupedEmbedding

ITEMS = pd.DataFrame(
    {
        "type": ["a", "b", None],
        "brand.name": ["x", "y", "z"],
        "genres": [["Drama"], ["Drama", "War"], ["War"]],
        "price": [1.0, 2.0, 9.0],
    }
)
USERS = pd.DataFrame({"likes": ["Drama", "War", None]})
COLUMNS = (
    Column("type", "vocabulary", "item", "what"),
    Column("brand.name", "one_hot", "item", "what"),
    Column("genres", "multi_hot", "item", "genres"),
    Column("price", "standard", "item", "money"),
    Column("likes", "vocabulary", "user", "taste", {"share": "genres"}),
)
SPEC = FeatureSpec.fit({"item": ITEMS, "user": USERS}, COLUMNS)
ITEM_SPEC, USER_SPEC = SPEC.for_entity("item"), SPEC.for_entity("user")
DIM = 4


def tensors(spec, frame):
    return {name: torch.from_numpy(array) for name, array in spec.encode(frame).items()}


def embedding(spec=ITEM_SPEC, seed=0, **options):
    torch.manual_seed(seed)
    return GroupedEmbedding(spec, DIM, **options)


def test_each_group_has_its_place():
    module = embedding()
    assert module(tensors(ITEM_SPEC, ITEMS)).shape == (3, module.width) == (3, 3 * DIM)


def test_columns_of_a_group_are_summed():
    module = embedding()
    features = tensors(ITEM_SPEC, ITEMS)
    parts = [
        module.tables["column_type"](features["type"]),
        module.tables["column_brand/name"](features["brand.name"]),
    ]
    torch.testing.assert_close(module(features)[:, :DIM], parts[0] + parts[1])


def test_labels_are_averaged_without_the_padding():
    module = embedding()
    drama, war = module.tables["column_genres"].weight[1:]
    torch.testing.assert_close(
        module(tensors(ITEM_SPEC, ITEMS))[:, DIM : 2 * DIM], torch.stack([drama, (drama + war) / 2, war])
    )


def test_one_seed_gives_one_module():
    one, other = (embedding(seed=7).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_unknown_row_starts_at_zero_and_learns():
    module = embedding()
    table = module.tables["column_type"]
    assert not table.weight[0].any()
    module(tensors(ITEM_SPEC, ITEMS)).sum().backward()
    assert table.weight.grad[0].any()


def test_padding_teaches_nothing():
    module = embedding()
    padding = {**tensors(ITEM_SPEC, ITEMS), "genres": torch.full((3, 2), -1)}
    out = module(padding)
    out.sum().backward()
    assert not out[:, DIM : 2 * DIM].any()
    assert not module.tables["column_genres"].weight.grad.any()


def test_columns_that_share_have_one_table():
    module = embedding(SPEC)
    assert len(module.tables) == len(COLUMNS) - 1


def test_two_modules_can_share_a_table():
    items = embedding()
    users = embedding(USER_SPEC, shared=items)
    assert users.tables["column_genres"] is items.tables["column_genres"]


def test_a_batch_equals_one_by_one():
    module, features = embedding(), tensors(ITEM_SPEC, ITEMS)
    single = [module({name: array[row : row + 1] for name, array in features.items()}) for row in range(3)]
    torch.testing.assert_close(torch.cat(single), module(features))


def test_a_spec_without_columns_is_refused():
    with pytest.raises(ValueError, match="without columns"):
        embedding(FeatureSpec(()))


def test_weights_survive_a_state_dict():
    one, other = embedding(seed=1), embedding(seed=2)
    other.load_state_dict(one.state_dict())
    features = tensors(ITEM_SPEC, ITEMS)
    np.testing.assert_array_equal(one(features).detach(), other(features).detach())
