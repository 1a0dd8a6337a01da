import sys
from dataclasses import replace

import kept
import numpy as np
import pytest
from exchange import Moment, in_order
from judging import System, judged, report
from moments import moment_of, sampled, save, with_ties_by_id
from ours import requests_of
from programs import Runs
from protocols import Protocol

from recsys.artifacts import ArtifactError, read_json, write_json
from recsys.evaluate import Judge
from recsys.types import PAD

SPLIT = "leave_last_out"
POPULARITY = {"program": "with_numpy", "model": "popularity", "tried": [{"days": 1}, {"days": None}]}


@pytest.fixture
def judge(dataset):
    return Judge.of(dataset, SPLIT, "test")


@pytest.fixture
def root(tmp_path, dataset, recommender):
    """What a run of the pipeline leaves: `unasked` is fitted too, but none of those that are merged."""
    fitted = tmp_path / "artifacts" / "global_time"
    dataset.save(tmp_path / "artifacts" / "data")
    recommender.save(fitted / "evaluation" / "recommender")
    for name in ("popular", "unasked"):
        recommender.channels["popular"].save(fitted / "recall" / "cf" / "test" / name)
    write_json(fitted / "merging" / "merging.json", {"channels": ["popular"]})
    return tmp_path


def run(*arguments):
    """The script of this benchmark: others are called run too."""
    from importlib.util import module_from_spec, spec_from_file_location

    from programs import HERE

    spec = spec_from_file_location("quality_run", HERE / "run.py")
    module = sys.modules["quality_run"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(each) for each in arguments])


def test_ties_by_id_change_the_order_within_a_moment_alone(dataset):
    by_id = with_ties_by_id(dataset)
    assert (by_id.events.timestamp == dataset.events.timestamp).all()
    ids = dataset.items["item_id"].to_numpy(dtype=str)[by_id.events.item_idx]
    same = np.diff(by_id.events.timestamp) == 0
    assert same.any()
    assert (ids[1:][same] >= ids[:-1][same]).all()


def test_the_positive_stands_last_beside_items_never_met(judge):
    drawn, past = sampled(judge, 1), judge.fold.past
    met = set(zip(past.user_idx.tolist(), past.item_idx.tolist(), strict=True))
    for user, items in zip(judge.users.tolist(), drawn.tolist(), strict=True):
        assert user * past.n_items + items[-1] in judge.relevant
        assert len(set(items)) == len(items)
        assert not met & {(user, item) for item in items}


def test_sampled_negatives_ask_for_one_positive(dataset):
    with pytest.raises(ValueError, match="leave_last_out"):
        sampled(Judge.of(dataset, "global_time", "test"), 1)


def test_sampled_items_stand_as_in_the_whole_ranking_what_is_not_there_last(judge, dataset):
    moment = replace(moment_of(judge, dataset), sampled=np.tile([0, 1, 2, 3], (len(judge), 1)))
    order = in_order(moment, lambda users, k: np.tile([2, 0, -1], (len(users), 1)))
    assert order.tolist() == [[2, 0, 1, 3]] * len(judge)


def lists(judge, place):
    """For each user what is met next, at ``place``; else nothing."""
    items = np.full((len(judge), 10), PAD)
    items[:, place] = judge.relevant % judge.n_items
    return items


def told_of(judge, *systems):
    return report({each.name: judged(each, judge, seed=1) for each in systems}, judge, seed=1)


def test_ours_are_held_against_the_best_peer(judge):
    told = told_of(
        judge,
        System("worse", False, "", lists(judge, 2), {}),
        System("better", False, "", lists(judge, 1), {"fit_seconds": 3.0}),
        System("mine", True, "", lists(judge, 0), {}),
    )
    assert told["systems"]["better"]["fit_seconds"] == 3
    assert told["systems"]["mine"]["metrics"]["ndcg_at_10"] == pytest.approx([1, 1, 1])
    against = told["against_best_peer"]["ndcg_at_10"]
    assert against["best_peer"] == "better"
    assert against["ours"]["mine"]["relative"] == pytest.approx([np.log2(3) - 1] * 3)
    assert told["untied"]["users"] == judge.slices["order=untied"].sum()


def test_the_place_among_sampled_items_is_judged(judge):
    drawn = sampled(judge, 1)
    positive_second = np.column_stack([drawn[:, 0], drawn[:, -1], drawn[:, 1:-1]])
    system = System("mine", True, "", lists(judge, 0), {}, positive_second)
    told = told_of(judge, system)["sampled"]["systems"]["mine"]["metrics"]
    assert told["ndcg_at_10"][0] == pytest.approx(1 / np.log2(3))
    assert told["hit_rate_at_10"][0] == 1


def test_verdicts_that_are_kept_make_the_same_report(judge, tmp_path):
    systems = [
        System("theirs", False, "a", lists(judge, 1), {"fit_seconds": 3.0}),
        System("mine", True, "b", lists(judge, 0), {}, sampled(judge, 1)),
    ]
    verdicts, moment = {each.name: judged(each, judge, 1) for each in systems}, tmp_path / "moment.npz"
    told = {"moment": moment.stem, **report(verdicts, judge, 1)}
    per_user = {name: each.per_user for name, each in verdicts.items()}
    kept.write(tmp_path, {"protocols": {SPLIT: told}}, {SPLIT: per_user})
    again = kept.verdicts(tmp_path, SPLIT, moment)
    kept.write(
        tmp_path / "again", {"protocols": {SPLIT: {**report(again, judge, 1), "moment": "moment"}}}, {}
    )
    assert kept.report(tmp_path / "again") == kept.report(tmp_path)
    assert kept.verdicts(tmp_path, SPLIT, tmp_path / "another.npz") == {}


def test_requests_made_of_a_moment_are_those_of_the_fold(judge, dataset):
    mine = requests_of(moment_of(judge, dataset), judge.users)
    theirs = judge.fold.requests(judge.rows)
    assert (mine.now == theirs.now).all()
    assert all((a == b).all() for a, b in zip(mine.history.last(9), theirs.history.last(9), strict=True))


def test_scores_rank_what_is_unseen_and_finite(judge, dataset):
    moment = moment_of(judge, dataset)
    score = np.where(np.arange(moment.n_items) < 5, -np.inf, np.arange(moment.n_items))
    ranked = moment.rank_by(lambda users: np.tile(score, (len(users), 1)))(moment.users, moment.n_items)
    for user, items in zip(moment.users, ranked, strict=True):
        own = set(moment.item_idx[moment.user_idx == user])
        unseen = [item for item in range(moment.n_items - 1, 4, -1) if item not in own]
        assert items[items >= 0].tolist() == unseen


def test_what_is_best_on_valid_is_chosen_and_nothing_is_tried_beyond_the_budget(dataset, tmp_path):
    protocol = Protocol(dataset, SPLIT, Runs(tmp_path, here=True), seed=1)
    told = protocol.tuned(POPULARITY, 100, {})
    assert len(told["trials"]) == 2
    best = max(told["trials"], key=lambda trial: trial["ndcg_at_10"])
    assert told["chosen"] == best["settings"]
    assert len(protocol.tuned(POPULARITY, 0.001, {})["trials"]) == 1


def test_a_peer_is_tuned_anew_only_where_what_decides_it_has_changed(dataset, tmp_path):
    protocol = Protocol(dataset, SPLIT, Runs(tmp_path, here=True), seed=1)
    before = protocol.tuned(POPULARITY, 100, {}) | {"chosen": "as it was"}
    assert protocol.tuned(POPULARITY, 100, before) == before
    longer = POPULARITY | {"tried": [*POPULARITY["tried"], {"days": 2}]}
    assert len(protocol.tuned(longer, 100, before)["trials"]) == 3


def test_settings_that_stand_alone_are_taken(dataset, tmp_path):
    protocol = Protocol(dataset, SPLIT, Runs(tmp_path, here=True), seed=1)
    told = protocol.tuned(POPULARITY | {"tried": [{"days": 7}]}, 100, {})
    assert (told["chosen"], told["trials"]) == ({"days": 7}, [])


def test_a_quick_run_judges_peers_and_ours_and_is_not_computed_again(root, tmp_path, capsys):
    places = ["--data", root / "artifacts" / "data", "--cache", tmp_path / "cache", "--out", tmp_path / "out"]
    asked = ["--quick", "--protocols", "global_time", "--ours", f"mine={root}", *places]
    asked += ["--peers", "popularity", "implicit cosine"]
    run(*asked)
    report = read_json(tmp_path / "out" / "quality.json")["protocols"]["global_time"]
    ours = {f"mine: {step}" for step in ("popular", "merged", "ranked", "reranked")}
    assert set(report["systems"]) == {"popularity", "implicit cosine", *ours}
    assert set(report["against_best_peer"]["ndcg_at_10"]["ours"]) == ours
    assert (tmp_path / "out" / "quality.png").stat().st_size > 0
    capsys.readouterr()
    run(*asked)
    assert ".npz" not in capsys.readouterr().out
    assert read_json(tmp_path / "out" / "quality.json")["protocols"]["global_time"] == report
    run(*asked[:-2], "popularity", "--cache", tmp_path / "elsewhere")
    assert read_json(tmp_path / "out" / "quality.json")["protocols"]["global_time"]["systems"].keys() == {
        "popularity",
        "implicit cosine",
        *ours,
    }
    assert not list((tmp_path / "elsewhere" / "environments").glob("*"))


def test_ours_of_other_data_are_refused(root, dataset, tmp_path):
    other = replace(dataset, events=dataset.events[::-1], positive=dataset.positive[::-1])
    with pytest.raises(ArtifactError, match="other data"):
        Protocol(with_ties_by_id(other), "global_time", Runs(tmp_path), seed=1).ask_ours("mine", root)


def test_a_moment_is_read_as_it_was_written(judge, dataset, tmp_path):
    moment = moment_of(judge, dataset, 1)
    read = Moment.load(save(moment, tmp_path))
    assert (read.sampled == moment.sampled).all()
    assert (read.timestamp == moment.timestamp).all()
