"""The next-item network: what a place may know, and what moves it."""

import pytest
import torch

from recsys.features.gaps import NO_GAP
from recsys.nn.sequence import NextItem

LENGTH = 6


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = NextItem(n_items=10, embedding_dim=8, length=LENGTH, blocks=2, heads=2, dropout=0.1).eval()
    with torch.no_grad():  # what begins with zeros would hide a fault
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def batch(ids, **changed):
    ids = torch.tensor(ids)
    places = torch.arange(LENGTH)
    inside = (places[:, None] >= places).expand(len(ids), -1, -1)
    told = {
        "values": torch.ones(ids.shape),
        "gaps": torch.full(ids.shape, NO_GAP),
        "between": torch.zeros(inside.shape, dtype=torch.int64),
        "waits": torch.zeros(ids.shape, dtype=torch.int64),
        "ages": torch.zeros(ids.shape),
        "since": torch.zeros(inside.shape, dtype=torch.int64),
        "inside": inside,
    }
    return {"ids": ids, **told, **changed}


def test_a_place_knows_nothing_of_those_after_it(network):
    one, other = network(**batch([[1, 2, 3, 4, 5, 6]])), network(**batch([[1, 2, 3, 9, 8, 7]]))
    assert torch.equal(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


def test_a_place_reads_only_what_is_inside(network):
    inside = batch([[1] * LENGTH])["inside"].clone()
    inside[:, 3:, :3] = False  # another user's
    one = network(**batch([[1, 2, 3, 4, 5, 6]], inside=inside))
    other = network(**batch([[9, 8, 7, 4, 5, 6]], inside=inside))
    torch.testing.assert_close(one[:, 3:], other[:, 3:])


def test_where_a_sequence_was_cut_does_not_matter(network):
    inside = batch([[1] * LENGTH])["inside"].clone()
    inside[:, 3:, :3] = False
    late = network(**batch([[7, 7, 7, 1, 2, 3]], inside=inside))
    early = network(**batch([[1, 2, 3, 7, 7, 7]]))
    torch.testing.assert_close(late[:, 3:], early[:, :3])


@pytest.mark.parametrize("name", ["values", "gaps", "between", "waits", "ages", "since"])
def test_everything_told_moves_the_answer(network, name):
    told = batch([[1, 2, 3, 4, 5, 6]])
    changed = told[name].clone()
    changed[..., 2:4] = 5 if changed.dtype == torch.int64 else 0.5
    assert not torch.allclose(network(**told), network(**{**told, name: changed}))
