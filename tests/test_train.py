"""The one fit loop."""

import os
import signal
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from recsys.train import Batch, checkpoints, fit, one_cycle, reproducible


class Line:
    """Batches of points on y = 3x, drawn by epoch and number."""

    def __init__(self, steps: int = 8, size: int = 16) -> None:
        self.steps, self.size = steps, size

    def __len__(self) -> int:
        return self.steps

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        def batch(number: int) -> Batch:
            # Points come one after the other, however many a batch has.
            draws = torch.Generator().manual_seed(epoch)
            x = torch.rand(self.steps * self.size, 1, generator=draws)[number * self.size :][: self.size]
            return {"x": x, "y": 3 * x}

        return batch


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


class StoppedError(Exception):
    pass


def interrupted_at(step: int) -> Callable[[nn.Module, Batch], Tensor]:
    """A loss that stops training once, in that step."""
    calls = iter(range(10_000))

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        if next(calls) == step:
            raise StoppedError
        return squared(model, batch)

    return loss


def test_an_interrupted_training_goes_on_to_the_same_end(tmp_path, monkeypatch):
    how = {"epochs": 3, "learning_rate": 0.1, "seed": 7, "validate": lambda model: {"bias": bias(model)}}
    whole = noisy_line()
    rows = fit(whole, Line(), squared, **how)
    monkeypatch.setenv("RECSYS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(StoppedError):
        fit(noisy_line(), Line(), interrupted_at(14), **how)  # one is lost before the first step
    assert len(list(tmp_path.iterdir())) == 1
    seen: list[int] = []

    def counted(model: nn.Module, batch: Batch) -> Tensor:
        seen.append(1)
        return squared(model, batch)

    resumed = noisy_line()
    assert fit(resumed, Line(), counted, **how) == rows
    assert torch.equal(weights(resumed), weights(whole))
    assert len(seen) == 1 + 3 * 8 - 13
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other", [{"epochs": 4}, {"learning_rate": 0.2}, {"seed": 8}, {"regularization": 1.0}]
)
def test_another_training_begins_at_the_start(tmp_path, monkeypatch, other):
    how = {"epochs": 3, "learning_rate": 0.1, "seed": 7}
    rows = fit(noisy_line(), Line(), squared, **(how | other))
    monkeypatch.setenv("RECSYS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(StoppedError):
        fit(noisy_line(), Line(), interrupted_at(13), **how)
    assert fit(noisy_line(), Line(), squared, **(how | other)) == rows


def test_a_training_with_another_loss_begins_at_the_start(tmp_path, monkeypatch):
    how = {"epochs": 3, "learning_rate": 0.1, "seed": 7}

    def doubled(model: nn.Module, batch: Batch) -> Tensor:
        return 2 * squared(model, batch)

    rows = fit(noisy_line(), Line(), doubled, **how)
    monkeypatch.setenv("RECSYS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(StoppedError):
        fit(noisy_line(), Line(), interrupted_at(13), **how)
    assert fit(noisy_line(), Line(), doubled, **how) == rows


def bias(model: nn.Module) -> float:
    return float(model[1].bias.detach())


def test_processes_share_each_step():
    how = {"epochs": 2, "learning_rate": 0.1, "validate": lambda model: {"bias": float(model.bias.detach())}}
    with reproducible(3, threads=1):
        one, two = nn.Linear(1, 1), nn.Linear(1, 1)
    two.load_state_dict(one.state_dict())
    expected = fit(one, Line(steps=8, size=16), squared, **how)
    rows = fit(two, Line(steps=16, size=8), squared, **how, processes=2)
    assert torch.allclose(weights(one), weights(two), atol=1e-6)
    assert [row.keys() for row in rows] == [row.keys() for row in expected]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected])


def test_a_process_that_is_killed_changes_nothing_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    monkeypatch.setattr(torch.distributed, "init_process_group", late(torch.distributed.init_process_group))
    how = {"epochs": 2, "learning_rate": 0.1, "seed": 5, "processes": 2}
    whole, killed = noisy_line(), noisy_line()
    died, calls = tmp_path / "died", iter(range(10_000))

    def dying(model: nn.Module, batch: Batch) -> Tensor:
        if next(calls) == 5 and torch.distributed.get_rank() == 1 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return squared(model, batch)

    rows = fit(whole, Line(), squared, **how)
    assert fit(killed, Line(), dying, **how) == rows
    assert died.exists()
    assert torch.equal(weights(killed), weights(whole))


def late(joins: Callable[..., None]) -> Callable[..., None]:
    """Who is started again comes a while after the other, who must not look for the dead meanwhile."""

    def join(*given: object, **named: object) -> None:
        time.sleep(int(os.environ["RANK"]) * int(os.environ["TORCHELASTIC_RESTART_COUNT"]))
        joins(*given, **named)

    return join


class Rows:
    """Batches of rows of a table of twelve, of which the last two are in none."""

    def __len__(self) -> int:
        return 8

    def __call__(self, epoch: int) -> Callable[[int], Batch]:
        def batch(number: int) -> Batch:
            draws = torch.Generator().manual_seed(100 * epoch + number)
            return {"x": torch.randint(10, (16,), generator=draws), "y": torch.ones(16, 3)}

        return batch


def large_table() -> nn.Module:
    with reproducible(3, threads=1):
        return nn.Sequential(nn.Embedding(12, 3, sparse=True), nn.Linear(3, 3))


def test_of_a_large_table_only_rows_that_were_read_change():
    model, before = large_table(), large_table()
    rows = fit(model, Rows(), squared, epochs=3, learning_rate=0.1, regularization=0.5)
    moved = (model[0].weight != before[0].weight).any(dim=1)
    assert moved.tolist() == [True] * 10 + [False] * 2
    assert rows[-1]["loss"] < rows[0]["loss"] / 2


def test_a_large_table_is_in_checkpoints_too(tmp_path, monkeypatch):
    how = {"epochs": 3, "learning_rate": 0.1, "seed": 7}
    whole, resumed = large_table(), large_table()
    rows = fit(whole, Rows(), squared, **how)
    monkeypatch.setenv("RECSYS_CHECKPOINTS", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    with pytest.raises(StoppedError):
        fit(large_table(), Rows(), interrupted_at(13), **how)
    assert fit(resumed, Rows(), squared, **how) == rows
    assert torch.equal(weights(resumed), weights(whole))


def test_processes_share_a_large_table():
    class Halves(Rows):
        """Two batches for each of the others'."""

        def __len__(self) -> int:
            return 16

        def __call__(self, epoch: int) -> Callable[[int], Batch]:
            whole = super().__call__(epoch)
            return lambda number: {
                name: each[8 * (number % 2) :][:8] for name, each in whole(number // 2).items()
            }

    one, two = large_table(), large_table()
    fit(one, Rows(), squared, epochs=2, learning_rate=0.1)
    fit(two, Halves(), squared, epochs=2, learning_rate=0.1, processes=2)
    assert torch.allclose(weights(one), weights(two), atol=1e-5)


def test_an_error_in_a_process_is_raised_here():
    with pytest.raises(FloatingPointError, match="nan at epoch 0, step 0"):
        fit(
            nn.Linear(1, 1),
            Line(),
            lambda m, b: squared(m, b) * torch.nan,
            epochs=1,
            learning_rate=0.1,
            processes=2,
        )


def test_processes_have_one_thread_each():
    with pytest.raises(ValueError, match="2 processes have one thread each, not 2"):
        fit(nn.Linear(1, 1), Line(), squared, epochs=1, learning_rate=0.1, processes=2, threads=2)


def test_one_cycle_goes_up_and_down_to_nothing():
    assert [one_cycle(at) for at in (0.05, 0.1, 0.55, 1)] == pytest.approx([0.5, 1, 0.5, 0])
