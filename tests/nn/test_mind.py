"""Capsules and the interest that a label speaks to."""

import pytest
import torch

from recsys.nn.mind import Mind, label_aware, n_interests, squash


def test_interests_are_the_log_of_a_history_within_bounds():
    lengths = torch.tensor([0, 1, 2, 3, 4, 7, 8, 16, 500])
    assert n_interests(lengths, 4).tolist() == [1, 1, 1, 1, 2, 2, 3, 4, 4]


def test_squashed_vectors_keep_their_direction_and_are_shorter_than_one():
    capsules = torch.tensor([[3.0, 4.0], [0.0, 0.1]])
    norms = squash(capsules).norm(dim=1)
    assert norms.tolist() == pytest.approx([25 / 26, 0.01 / 1.01], rel=1e-3)
    torch.testing.assert_close(squash(capsules) / norms[:, None], capsules / capsules.norm(dim=1)[:, None])


def test_a_history_of_nothing_has_a_gradient():
    capsules = torch.zeros(1, 2, requires_grad=True)
    squash(capsules).sum().backward()
    assert torch.isfinite(capsules.grad).all()


def test_items_of_two_kinds_are_routed_apart():
    torch.manual_seed(1)
    network = Mind(4, 2, length=4, interests=2, iterations=6, attributes=None, hidden=(), dropout=0.0).eval()
    with torch.no_grad():
        network.ids.weight[1:] = 3 * torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
        for parameter in network.layers.parameters():
            parameter.zero_()
        interests, has = network(torch.tensor([[1, 3, 2, 4]]), torch.zeros(1, 4), torch.ones(1, 4), {})
    assert has.all()
    assert interests[0].max(dim=1).values.min() > 0.97  # each lies along one axis
    assert interests[0, 0] @ interests[0, 1] < 0.3


def test_the_sharper_the_nearer_to_the_interest_that_fits_and_never_to_one_that_is_not_there():
    interests = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]])
    has = torch.tensor([[True, True, False]])
    item = torch.tensor([[0.6, 0.8]])
    blunt, sharp = label_aware(interests, has, item, 1), label_aware(interests, has, item, 100)
    torch.testing.assert_close(sharp, torch.tensor([[0.0, 1.0]]))
    assert (blunt @ item.T).item() > 0.5
    assert blunt[0, 0] > 0.3
