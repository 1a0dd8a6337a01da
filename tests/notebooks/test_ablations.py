"""What benchmarks/ablations takes away, on the tiny data set."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import yaml

from recsys.artifacts import read_json
from recsys.features.candidates import CandidateFeatures

HERE = Path(__file__).parents[2] / "benchmarks" / "ablations"
SPLIT = "leave_last_out"
pytestmark = pytest.mark.xdist_group("notebooks")


@pytest.fixture(scope="module")
def ablations():
    """The script of this benchmark: others are called run too."""
    spec = spec_from_file_location("ablations", HERE / "run.py")
    module = module_from_spec(spec)
    sys.modules["ablations"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def of_ranker(ablations, repository, prepared, monkeypatch):
    monkeypatch.chdir(repository)
    params = yaml.safe_load((repository / "params.yaml").read_text())
    bench = ablations.Bench(prepared, SPLIT, params, {"ranker": {"requests": 20, "seeds": 1}})
    return ablations.RankerAblations.of(bench)


def test_blank_names_tell_the_same_number_of_all(ablations, of_ranker, prepared):
    judge = of_ranker.judges["valid"]
    fitted = CandidateFeatures.fit(judge.fold.past, prepared.items, prepared.spec.category, [30])
    requests, merged = (
        judge.fold.requests(judge.rows),
        of_ranker.examples({*of_ranker.asked}, frozenset())["valid"].merged,
    )
    blank = frozenset({"popular_rank", "popularity_gap", "since_last", fitted.known_names[0]})
    blanked = ablations.Blanked(**vars(fitted), blank=blank)
    told = blanked.candidate_frame(requests, merged) | blanked.request_frame(requests)
    full = fitted.candidate_frame(requests, merged) | fitted.request_frame(requests)
    assert {name for name in blank if not told[name].any()} == blank
    assert all(np.array_equal(told[name], full[name], equal_nan=True) for name in full.keys() - blank)


def test_a_channel_that_is_out_finds_nothing(of_ranker):
    asked = {*of_ranker.asked}
    with_it, without = (of_ranker.examples(each, frozenset()) for each in (asked, asked - {"mf"}))
    assert "mf" in with_it["late"].merged.channels
    assert "mf" not in without["late"].merged.channels


def test_what_was_measured_is_kept_and_drawn(ablations, repository, monkeypatch, tmp_path):
    monkeypatch.chdir(repository)
    monkeypatch.setattr(ablations, "REPORT", tmp_path / "ablations.json")
    monkeypatch.setattr(ablations, "DRAWN", tmp_path / "ablations.ipynb")
    few = [("whole", "whole", {}), ("channel", "without mf", {"out": "mf"})]
    few.append(("ranking", "merged order", {"ranked": False}))
    few += [("items", items, {"items": items}) for items in ("ids", "item2vec")]
    monkeypatch.setattr(ablations.RankerAblations, "variants", lambda _: iter(few))
    towers = [few[0], ("start", "not from item2vec", {"item2vec": None})]
    monkeypatch.setattr(ablations.TowerAblations, "variants", lambda _: iter(towers))
    monkeypatch.setattr(sys, "argv", ["run.py", "--requests", "20", "--seeds", "1", "--splits", SPLIT])
    ablations.main()
    before = read_json(ablations.REPORT)
    whole, changed = before["splits"][SPLIT]["two_tower"]
    assert whole["recall_at_100"]["value"] == 0
    assert changed["recall_at_100"]["of"] == pytest.approx(
        whole["recall_at_100"]["of"] + changed["recall_at_100"]["value"]
    )
    assert (tmp_path / "ablations_two_tower.png").exists()

    def again(*_, **__):
        raise AssertionError("measured twice")

    monkeypatch.setattr(ablations.TowerAblations, "measured", again)
    monkeypatch.setattr(ablations.RankerAblations, "measured", again)
    ablations.main()
    assert read_json(ablations.REPORT) == before
