"""Sampled softmax."""

import numpy as np
import pytest
import torch

from recsys.nn.losses import full_softmax, sampled_negatives, sampled_softmax

USERS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
ITEMS = torch.tensor([[0.8, 0.6], [0.0, 1.0], [1.0, 0.0]])


def test_is_the_softmax_of_each_own_item():
    logits = (USERS @ ITEMS.T / 0.5).numpy()
    expected = np.log(np.exp(logits).sum(axis=1)) - [logits[0, 0], logits[1, 1]]
    loss = sampled_softmax(USERS, ITEMS, torch.tensor([1, 2, 3]), temperature=0.5)
    assert loss.item() == pytest.approx(expected.mean(), rel=1e-5)


def test_an_accidental_hit_does_not_count():
    # The third is user 0's own item again.
    ids = torch.tensor([1, 2, 1])
    items = ITEMS.clone()
    items[2] = items[0]
    one = sampled_softmax(USERS[:1], items, ids, temperature=0.5)
    none = sampled_softmax(USERS[:1], items[:2], ids[:2], temperature=0.5)
    assert one.item() == pytest.approx(none.item())


def test_logq_correction_makes_up_for_uneven_draws():
    # Item 2 stands in the batch three times; told so, the loss is that of one.
    ids = torch.tensor([1, 2, 2, 2])
    drawn = torch.log(torch.tensor([1.0, 3.0, 3.0, 3.0]))
    uneven = sampled_softmax(USERS[:1], ITEMS[[0, 1, 1, 1]], ids, temperature=0.5, log_q=drawn)
    even = sampled_softmax(USERS[:1], ITEMS[:2], ids[:2], temperature=0.5)
    assert uneven.item() == pytest.approx(even.item())


def test_alone_in_the_batch_there_is_nothing_to_lose():
    assert sampled_softmax(USERS[:1], ITEMS[:1], torch.tensor([1]), temperature=0.1).item() == 0


def test_full_softmax_is_the_cross_entropy_over_all_items_and_so_are_its_gradients():
    torch.manual_seed(0)
    users = torch.randn(300, 4, requires_grad=True)  # more than are computed at once
    items = torch.randn(7, 4, requires_grad=True)
    own = torch.randint(7, (300,))
    got = torch.autograd.grad(3 * full_softmax(users, items, own), (users, items))
    loss = 3 * torch.nn.functional.cross_entropy(users @ items.T, own)
    torch.testing.assert_close(3 * full_softmax(users, items, own), loss)
    for gradient, expected in zip(got, torch.autograd.grad(loss, (users, items)), strict=True):
        torch.testing.assert_close(gradient, expected)


def test_full_softmax_of_nobody_is_zero():
    assert full_softmax(torch.zeros(0, 2), torch.ones(3, 2), torch.zeros(0, dtype=torch.int64)) == 0


def test_sampled_negatives_is_the_softmax_over_the_own_item_and_so_many_others():
    users, items = torch.eye(2), torch.tensor([[1.0, 0], [0, 1], [0.5, 0.5], [0.2, 0.1], [0, 0.7]])
    # User 0 takes the extra rows 2 and 3, user 1 row 4 and again 2.
    logits = torch.tensor([[1, 0.5, 0.2], [1, 0.7, 0.5]]) / 0.5
    expected = torch.nn.functional.cross_entropy(logits, torch.zeros(2, dtype=torch.int64))
    got = sampled_negatives(users, items, torch.tensor([1, 2, 3, 4, 5]), temperature=0.5, n=2)
    torch.testing.assert_close(got, expected)


def test_a_negative_that_is_the_own_item_does_not_count():
    users, items = torch.eye(2)[:1], torch.tensor([[1.0, 0], [1.0, 0], [0, 1]])
    ids = torch.tensor([1, 1, 2])
    both = sampled_negatives(users, items, ids, temperature=0.5, n=2)
    one = sampled_negatives(users, items[[0, 2]], ids[[0, 2]], temperature=0.5, n=1)
    torch.testing.assert_close(both, one)
