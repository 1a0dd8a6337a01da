import sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

import pandas as pd
import pytest
from contenders import HERE


@pytest.fixture
def benchmark():
    """The script of this benchmark: others are called run too."""
    spec = spec_from_file_location("ranking_run", HERE / "run.py")
    module = sys.modules["ranking_run"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Lucky:
    """The defaults are good with the first seed alone, the second trial is always fair, others are poor."""

    name, start, probable = "lucky", {"number": 0}, True

    def proposed(self, trial):
        return {"number": trial.number}

    def run(self, settings, learned, scored, seed):
        value = {0: 0.9 if seed == 1 else 0.1, 1: 0.8}.get(settings["number"], 0.2)
        return SimpleNamespace(scores=value)


def test_a_lucky_seed_does_not_choose_the_settings(benchmark, monkeypatch):
    monkeypatch.setattr(
        benchmark, "by_task", lambda scores, _: pd.DataFrame({"auc": [scores], "gauc": [scores]})
    )
    exam = SimpleNamespace(drawn=lambda fold, requests, seed: None)
    assert benchmark.tuned(Lucky(), exam, trials=5, requests=1, seed=1) == {"number": 1}
    monkeypatch.setattr(benchmark, "DRAWS", 1)
    assert benchmark.tuned(Lucky(), exam, trials=5, requests=1, seed=1) == {"number": 0}
