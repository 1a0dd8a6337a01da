import pytest
import torch

from recsys.nn.esmm import ESMM, nested
from recsys.nn.mmoe import MMoE
from recsys.nn.ple import PLE

TASKS = ("watched", "liked")
X = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))


def gradients(model, task):
    """By parameter, whether ``task``'s logits depend on it."""
    model.zero_grad()
    model(X)[task].sum().backward()
    return {
        name: each.grad is not None and bool(each.grad.abs().sum() > 0)
        for name, each in model.named_parameters()
    }


def test_the_gates_of_a_mixture_add_up_to_1():
    for weights in MMoE(6, TASKS, 3, [8, 4], 0.0).gate_weights(X).values():
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(50))


def test_a_gate_prefers_nobody_before_it_has_learned():
    for weights in MMoE(6, TASKS, 4, [8, 4], 0.0).gate_weights(X).values():
        torch.testing.assert_close(weights, torch.full((50, 4), 0.25))


@pytest.mark.parametrize("level", [0, 1])
def test_an_expert_that_is_shared_serves_every_task(level):
    model = PLE(6, TASKS, 3, [8, 4], 0.0)
    for task in TASKS:
        assert gradients(model, task)[f"levels.{level}.experts.2.weight"]


def test_in_the_last_level_a_task_does_not_hear_the_others_expert():
    heard = gradients(PLE(6, TASKS, 3, [8, 4], 0.0), "watched")
    assert heard["levels.1.experts.0.weight"]
    assert not heard["levels.1.experts.1.weight"]


def test_through_the_shared_part_every_expert_of_a_level_before_is_heard():
    heard = gradients(PLE(6, TASKS, 3, [8, 4], 0.0), "watched")
    assert heard["levels.0.experts.1.weight"]


def test_one_level_has_nothing_to_share_with_a_next():
    assert len(PLE(6, TASKS, 3, [8], 0.0).levels[0].gates) == len(TASKS)


def test_too_few_experts_to_share_one_are_refused():
    with pytest.raises(ValueError, match="2 for 2 leave none to share"):
        PLE(6, TASKS, 2, [8], 0.0)


def test_probabilities_of_nested_tasks_multiply():
    given = {"watched": torch.tensor([-3.0, 0.0, 2.0]), "liked": torch.tensor([1.0, -1.0, 4.0])}
    own = {task: logit.sigmoid() for task, logit in nested(given).items()}
    torch.testing.assert_close(own["watched"], given["watched"].sigmoid())
    torch.testing.assert_close(own["liked"], given["watched"].sigmoid() * given["liked"].sigmoid())


def test_who_likes_has_watched():
    logits = ESMM(6, TASKS, [8, 4], 0.0)(X)
    assert (logits["liked"] < logits["watched"]).all()


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_nested_logits_stay_finite_however_sure(logit):
    given = {task: torch.tensor([logit], requires_grad=True) for task in TASKS}
    own = torch.cat(list(nested(given).values()))
    own.sum().backward()
    assert own.isfinite().all()
    assert all(each.grad.isfinite().all() for each in given.values())
