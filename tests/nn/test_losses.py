"""Sampled softmax."""

import numpy as np
import pytest
import torch

from recsys.nn.losses import sampled_softmax

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
