import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from contenders import ATTENDED, HERE, LESS, Ours, sized


@pytest.fixture
def benchmark():
    """The script of this benchmark: others are called run too."""
    spec = spec_from_file_location("ranking_run", HERE / "run.py")
    module = sys.modules["ranking_run"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Lucky:
    """The defaults are good with the first seed alone, the second trial is always fair, others are poor."""

    name, starts, probable = "lucky", [{"number": 0}], True

    def proposed(self, trial):
        return {"number": trial.number}

    def run(self, settings, learned, scored, seed):
        value = {0: 0.9 if seed == 1 else 0.1, 1: 0.8}.get(settings["number"], 0.2)
        return SimpleNamespace(scores=value)


@pytest.fixture
def chosen(benchmark, monkeypatch):
    """What five trials of a contender end with, whose scores are what they are worth."""
    monkeypatch.setattr(
        benchmark, "by_task", lambda scores, _: pd.DataFrame({"auc": [scores], "gauc": [scores]})
    )
    exam = SimpleNamespace(drawn=lambda fold, requests, seed: fold)
    budget = {"trials": 5, "finalists": 3, "requests": 1}
    return lambda contender, **spent: benchmark.tuned(contender, exam, budget | spent, seed=1)["number"]


def test_a_lucky_seed_does_not_choose_the_settings(chosen):
    assert chosen(Lucky(), turns=1, draws=3) == 1
    assert chosen(Lucky(), turns=1, draws=1) == 0


class Narrow(Lucky):
    """The defaults are good for what one fold asks alone, the second trial is fair on both."""

    def run(self, settings, learned, scored, seed):
        value = {0: {"valid": 0.9, "late": 0.1}[scored], 1: 0.8}.get(settings["number"], 0.2)
        assert learned != [scored]
        return SimpleNamespace(scores=value)


def test_with_a_second_turn_both_folds_choose_the_settings(chosen):
    assert chosen(Narrow(), turns=1, draws=1) == 0
    assert chosen(Narrow(), turns=2, draws=1) == 1


@pytest.mark.parametrize(("asked", "n"), [(4, 4), (1, 2), (16, 8)])
def test_experts_come_in_numbers_that_have_widths(asked, n):
    assert sized({2: (8, 4), 4: (4, 2), 8: (2, 1)}, asked) == {"n_experts": n, "widths": (16 // n, 8 // n)}


def test_ours_begin_with_a_history_and_without_and_with_less_for_what_shares_the_network():
    given = {"n_experts": 2, "history_length": 9}
    tasks, widths = ("watched", "liked"), {2: (8, 4)}
    mixture, alone = (
        Ours(model, None, tasks, {"model": model}, given, widths).starts for model in ("mmoe", "single_task")
    )
    assert [each["history_length"] for each in mixture] == [0, ATTENDED, 0]
    assert [each.get("task_weights") for each in mixture] == [None, None, {"liked": LESS}]
    assert [each["history_length"] for each in alone] == [0, ATTENDED]


def test_each_request_has_an_order_of_its_own(benchmark):
    odds = {"liked": np.array([[0.9, 0.1, 0.5], [0.1, 0.9, 0.0], [0.3, 0.2, 0.1]])}
    labels = {"liked": np.array([[1, 0, 0], [1, 0, 1], [0, 0, 0]])}
    inside = np.array([[True, True, True], [True, True, False], [True, True, True]])
    found = benchmark.by_request(
        SimpleNamespace(probabilities=odds), SimpleNamespace(labels=labels, inside=inside)
    )
    np.testing.assert_array_equal(found["liked"], [1.0, 0.0, np.nan])


def test_the_mixture_is_ahead_by_the_mean_of_what_each_request_tells(benchmark):
    aucs = pd.DataFrame({"liked of trees": [0.5, np.nan, 0.5]})
    assert benchmark.ahead(aucs, seed=1) == {}
    ((name, tasks),) = benchmark.ahead(aucs.assign(**{"liked of mmoe": [0.9, np.nan, 0.7]}), seed=1).items()
    assert name == "trees"
    assert tasks["liked"]["value"] == pytest.approx(0.3)
    assert 0.19 < tasks["liked"]["low"] < 0.3 < tasks["liked"]["high"] < 0.41
