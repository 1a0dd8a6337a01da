"""A history weighted by its values."""

import pytest
import torch

from recsys.nn.youtube_dnn import RatedPooling

INSIDE = torch.tensor([[True, True, False], [False, False, False]])
VALUES = torch.tensor([[1.0, 0.5, 1.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("kind", "weights"), [("sum", [1.1, 0.6, 0.0]), ("mean", [1.1 / 1.7, 0.6 / 1.7, 0.0])]
)
def test_items_weigh_by_value_and_padding_nothing(kind, weights):
    pooling = RatedPooling(4, kind, floor=0.1)
    got = pooling.weights(torch.zeros(2, 3, 4), torch.zeros(2, 3), VALUES, INSIDE)[:, :, 0]
    torch.testing.assert_close(got, torch.tensor([weights, [0.0] * 3]))
