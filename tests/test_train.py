"""The one fit loop."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from recsys.train import Batch, fit, one_cycle, reproducible


class Line:
    """Batches of points on y = 3x, drawn by epoch."""

    def __init__(self, steps: int = 8) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __call__(self, epoch: int) -> Iterator[Batch]:
        draws = torch.Generator().manual_seed(epoch)
        for _ in range(self.steps):
            x = torch.rand(16, 1, generator=draws)
            yield {"x": x, "y": 3 * x}


def squared(model: nn.Module, batch: Batch) -> Tensor:
    return (model(batch["x"]) - batch["y"]).square().mean()


def noisy_line(seed: int = 0) -> nn.Module:
    with reproducible(seed, threads=1):
        return nn.Sequential(nn.Dropout(0.1), nn.Linear(1, 1))


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def test_loss_falls_and_there_is_one_row_an_epoch():
    rows = fit(nn.Linear(1, 1), Line(), squared, epochs=5, learning_rate=0.1)
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[-1]["loss"] < rows[0]["loss"] / 2


def test_the_same_seed_gives_the_same_bits():
    one, other = noisy_line(), noisy_line()
    fit(one, Line(), squared, epochs=2, learning_rate=0.1, seed=7)
    torch.rand(3)  # what others draw in between does not matter
    fit(other, Line(), squared, epochs=2, learning_rate=0.1, seed=7)
    assert torch.equal(weights(one), weights(other))


def test_another_seed_gives_other_bits():
    one, other = noisy_line(), noisy_line()
    fit(one, Line(), squared, epochs=2, learning_rate=0.1, seed=7)
    fit(other, Line(), squared, epochs=2, learning_rate=0.1, seed=8)
    assert not torch.equal(weights(one), weights(other))


def test_leaves_torch_as_it_was():
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fit(nn.Linear(1, 1), Line(), squared, epochs=1, learning_rate=0.1, seed=5, threads=1)
    torch.manual_seed(1)
    fit(noisy_line(), Line(), squared, epochs=1, learning_rate=0.1, seed=5, threads=1)
    assert torch.equal(torch.rand(1), expected)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_ends_in_the_state_of_the_best_epoch():
    seen: list[Tensor] = []
    scores = iter([0.1, 0.9, 0.3])

    def validate(model: nn.Module) -> dict[str, float]:
        seen.append(weights(model).clone())
        return {"ndcg": next(scores)}

    model = nn.Linear(1, 1)
    rows = fit(model, Line(), squared, epochs=3, learning_rate=0.1, validate=validate, monitor="ndcg")
    assert [row["ndcg"] for row in rows] == [0.1, 0.9, 0.3]
    assert torch.equal(weights(model), seen[1])


def test_stops_after_patience_runs_out():
    scores = iter([0.5, 0.4, 0.3, 0.9])
    rows = fit(
        nn.Linear(1, 1),
        Line(),
        squared,
        epochs=4,
        learning_rate=0.1,
        validate=lambda _: {"ndcg": next(scores)},
        monitor="ndcg",
        patience=2,
    )
    assert len(rows) == 3


def test_validates_in_eval_mode_and_trains_in_train_mode():
    modes: list[bool] = []

    def validate(model: nn.Module) -> dict[str, float]:
        modes.append(model.training)
        return {}

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        modes.append(model.training)
        return squared(model, batch)

    model = noisy_line()
    fit(model, Line(steps=1), loss, epochs=2, learning_rate=0.1, validate=validate)
    assert modes == [True, False, True, False]
    assert not model.training


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    with pytest.raises(FloatingPointError, match="nan at epoch 0, step 0"):
        fit(nn.Linear(1, 1), Line(), lambda m, b: squared(m, b) * torch.nan, epochs=1, learning_rate=0.1)


@pytest.mark.parametrize("wrong", [{"monitor": "ndcg"}, {"patience": 1}])
def test_monitor_needs_validate_and_patience_needs_monitor(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="needs"):
        fit(nn.Linear(1, 1), Line(), squared, epochs=1, learning_rate=0.1, **wrong)


def test_one_cycle_goes_up_and_down_to_nothing():
    assert [one_cycle(at) for at in (0.05, 0.1, 0.55, 1)] == pytest.approx([0.5, 1, 0.5, 0])
