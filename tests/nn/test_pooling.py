"""Pooling of histories."""

import pytest
import torch

from recsys.nn.pooling import HistoryPooling, elapsed

LENGTH, WIDTH = 4, 3
KINDS = ("mean", "weighted", "attention", "self_attention")


def history(batch: int = 2) -> tuple[torch.Tensor, ...]:
    draws = torch.Generator().manual_seed(0)
    items = torch.randn(batch, LENGTH, WIDTH, generator=draws)
    ages, values = torch.rand(2, batch, LENGTH, generator=draws)
    return items, ages, values, torch.ones(batch, LENGTH, dtype=torch.bool)


@pytest.mark.parametrize("kind", KINDS)
def test_one_vector_a_head(kind: str):
    pooling = HistoryPooling(WIDTH, LENGTH, kind, heads=2)
    assert pooling(*history()).shape == (2, pooling.width)
    assert pooling.width == WIDTH * (1 if kind == "mean" else 2)


def test_mean_is_the_mean_of_what_is_inside():
    items, ages, values, inside = history(1)
    inside[0, 2:] = False
    pooled = HistoryPooling(WIDTH, LENGTH, "mean")(items, ages, values, inside)
    torch.testing.assert_close(pooled[0], items[0, :2].mean(dim=0))


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_history_gives_zeros(kind: str):
    items, ages, values, inside = history()
    pooled = HistoryPooling(WIDTH, LENGTH, kind)(items, ages, values, torch.zeros_like(inside))
    assert not pooled.any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_padding_has_no_effect(kind: str):
    items, ages, values, inside = history()
    inside[:, 2:] = False
    pooling = HistoryPooling(WIDTH, LENGTH, kind)
    before = pooling(items, ages, values, inside)
    items[:, 2:], ages[:, 2:], values[:, 2:] = 9, 9, 9
    assert torch.equal(pooling(items, ages, values, inside), before)


def test_heads_start_with_different_horizons():
    items, ages, values, inside = history()
    first, second = HistoryPooling(WIDTH, LENGTH, heads=2)(items, ages, values, inside).chunk(2, dim=1)
    torch.testing.assert_close(first, items.mean(dim=1))
    assert (second - items[:, 0]).norm() < (first - items[:, 0]).norm()


@pytest.mark.parametrize(
    ("kind", "matters"), [("weighted", False), ("attention", True), ("self_attention", True)]
)
def test_only_attention_weighs_by_the_items_themselves(kind: str, matters: bool):
    items, ages, values, inside = history(1)
    pooling = HistoryPooling(WIDTH, LENGTH, kind)
    if matters:
        torch.nn.init.ones_(pooling.query.weight)
    linear = torch.allclose(
        pooling(2 * items, ages, values, inside), 2 * pooling(items, ages, values, inside), atol=1e-6
    )
    assert linear is not matters


def test_elapsed_tells_seconds_and_years_apart():
    ages = torch.log1p(torch.tensor([1.0, 60.0, 365 * 86_400.0]) / 86_400)
    days, seconds = elapsed(ages).unbind(-1)
    assert days[2] == pytest.approx(1, abs=0.01)
    assert days[1] < 0.001
    assert seconds[1] - seconds[0] > 0.1
