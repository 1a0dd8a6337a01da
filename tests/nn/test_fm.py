"""The machine's score against all pairs of features, one by one."""

from itertools import combinations

import numpy as np
import torch

from recsys.features.spec import Column, FeatureSpec
from recsys.nn.fm import FactorizationMachine
from recsys.types import PAD

FRAMES = {
    "user": {"age": np.array([20.0, 30.0, 40.0])},
    "item": {"kind": np.array(["a", "b", "a"]), "year": np.array([1.0, 2.0, 3.0])},
}
SPEC = FeatureSpec.fit(
    FRAMES,
    (
        Column("age", "standard", "user", "person"),
        Column("kind", "vocabulary", "item", "what"),
        Column("year", "standard", "item", "what"),
    ),
)
D = 4


def machine():
    torch.manual_seed(0)
    network = FactorizationMachine(3, 3, SPEC.for_entity("user"), SPEC.for_entity("item"), D)
    with torch.no_grad():
        for each in network.parameters():
            each.copy_(torch.randn_like(each))
    return network.eval()


def features(**rows):
    encoded = {
        entity: SPEC.encode({name: values[rows[entity]] for name, values in FRAMES[entity].items()}, entity)
        for entity in rows
    }
    return {name: torch.from_numpy(each) for entity in encoded for name, each in encoded[entity].items()}


def test_a_score_is_the_sum_over_all_pairs_of_features_but_for_what_is_the_users_alone():
    network = machine()
    told = features(user=[1], item=[2])
    met, weights = torch.tensor([[3, 1, 0]]), torch.tensor([[0.7, 0.3, 0.0]])
    with torch.no_grad():
        user, item = network(torch.tensor([2]), met, weights, torch.tensor([3]), told)
        of_user = [
            network.users.weight[2],
            0.7 * network.met.weight[3] + 0.3 * network.met.weight[1],
            network.user_columns(told)[0],
        ]
        columns = network.item_columns(told)[0].split(D + 1)
        of_item = [network.items.weight[3], *columns]
        weights_alone = sum(each[D] for each in of_item)
        pairs = [(one, other[:D]) for one in of_user for other in of_item]
        pairs += [(one[:D], other[:D]) for one, other in combinations(of_item, 2)]
        expected = weights_alone + sum(one @ other for one, other in pairs)
    torch.testing.assert_close((user * item).sum(), expected)


def test_it_works_on_ids_alone():
    nothing = FeatureSpec(())
    network = FactorizationMachine(3, 5, nothing, nothing, D)
    user, item = network(
        torch.tensor([1, 0]), torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3), torch.arange(4), {}
    )
    assert (user.shape, item.shape) == ((2, D + 1), (4, D + 1))
    assert user[1].tolist() == [0.0] * D + [1.0]
    assert PAD == -1
