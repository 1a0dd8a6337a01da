import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import write_arrays, write_json
from recsys.cli import main
from recsys.cli.options import LONGEST_ID
from recsys.cli.recommendations import moment
from recsys.cli.similarity import closest
from recsys.cli.table import table
from recsys.pipeline import frame

PARAMS = "cf: {k: 5}\nrelease: {gate: {ndcg_at_10: 0.02}}\n"


@pytest.fixture(scope="module")
def evaluation(recommender, tmp_path_factory):
    """What the evaluation stage leaves, with parameters and data beside it."""
    folder = tmp_path_factory.mktemp("evaluation")
    recommender.save(folder / "recommender")
    write_arrays(folder / "per_user.npz", {"user_idx": np.arange(4), "ndcg_at_10": np.full(4, 0.2)})
    write_json(folder / "metrics.json", {"ndcg_at_10": 0.2, "recall_at_10": 0.5})
    (folder / "params.yaml").write_text(PARAMS)
    (folder / "data").mkdir()
    (folder / "data" / "events.csv").write_text("user,item\n")
    return folder


def build(evaluation, releases):
    """Arguments of `release build`."""
    return [
        *["release", "build", "--recommender", str(evaluation), "--params", str(evaluation / "params.yaml")],
        *["--data", str(evaluation / "data"), "--releases", str(releases)],
    ]


@pytest.fixture(scope="module")
def published(evaluation, tmp_path_factory):
    releases = tmp_path_factory.mktemp("releases")
    assert main(build(evaluation, releases)) == 0
    return releases


@pytest.fixture
def release_id(published):
    return next(published.iterdir()).name


@pytest.fixture
def run(published, monkeypatch, capsys):
    """Run a command: its exit code, stdout, stderr."""
    monkeypatch.setenv("RECSYS_RELEASES", str(published))

    def run(*arguments):
        capsys.readouterr()
        code = main([str(each) for each in arguments])
        return code, *capsys.readouterr()

    return run


def test_a_users_list_is_the_recommenders(run, recommender):
    code, told, _ = run("recommend", "--user", "u3", "--k", 5, "--json")
    shown = recommender.recommend(recommender.requests(recommender.catalogue.users.encode(["u3"])), 5)
    assert code == 0
    assert [each["item_id"] for each in json.loads(told)["items"]] == frame(recommender, shown)[
        "item_id"
    ].tolist()


def test_the_table_has_a_line_an_item(run):
    _, told, warned = run("recommend", "--user", "u3", "--k", 4)
    head, *rows = told.splitlines()
    assert head.split() == ["rank", "title", "item_id", "score"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3", "4"]
    assert not warned


def test_explain_tells_reason_channels_probabilities_and_the_place_before(run):
    _, told, _ = run("recommend", "--user", "u3", "--k", 1, "--explain")
    assert len(told.splitlines()) == 6
    for part in ("because you had", "item_cf (at", "watched 0.", "liked 0.", "before re-ranking"):
        assert part in told


def test_explain_in_json_has_the_same(run):
    _, told, _ = run("recommend", "--user", "u3", "--k", 8, "--explain", "--json")
    items = json.loads(told)["items"]
    assert all(
        each.keys() >= {"reason", "channels", "probabilities", "move", "rank_before"} for each in items
    )
    assert all(found["rank"] >= 1 for each in items for found in each["channels"].values())


def test_an_unknown_user_gets_the_popular_list_and_is_told_so(run):
    code, told, warned = run("recommend", "--user", "nobody", "--k", 3, "--json")
    assert code == 0
    assert json.loads(told)["served_by"] == "popular"
    assert warned == "user 'nobody' is unknown: this is what is popular\n"


def test_who_has_nothing_left_is_told_so(run, monkeypatch, recommender):
    monkeypatch.setattr("recsys.cli.recommendations.load_recommender", lambda *_: recommender)
    monkeypatch.setattr(
        "recsys.pipeline.Recommender.recall", lambda self, requests, k: _nothing(self, requests)
    )
    code, told, warned = run("recommend", "--user", "u3")
    assert (code, told) == (0, "")
    assert "nothing left to recommend to user 'u3'" in warned


def _nothing(recommender, requests):
    from recsys.types import Candidates

    return recommender.merging({name: Candidates.none(len(requests), 5) for name in recommender.channels})


def test_everyones_lists_are_the_recommenders(run, recommender, tmp_path):
    code, _, bar = run("recommend", "--all", "--k", 7, "--out", tmp_path / "lists.parquet")
    lists = pd.read_parquet(tmp_path / "lists.parquet")
    expected = frame(recommender, recommender.recommend(recommender.requests(np.arange(60)), 7))
    assert code == 0
    assert "60/60" in bar
    assert lists.columns.tolist() == ["user_id", "item_id", "rank", "score"]
    pd.testing.assert_frame_equal(lists, expected[lists.columns], check_dtype=False)


def test_batches_do_not_change_the_file(run, monkeypatch, tmp_path):
    run("recommend", "--all", "--k", 3, "--out", tmp_path / "whole.csv")
    monkeypatch.setattr("recsys.cli.export.USERS", 7)
    run("recommend", "--all", "--k", 3, "--out", tmp_path / "batches.csv")
    assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "batches.csv").read_bytes()
    assert pd.read_csv(tmp_path / "whole.csv").groupby("user_id").size().max() == 3


def test_an_export_that_fails_leaves_the_file_of_before(run, monkeypatch, tmp_path):
    out = tmp_path / "lists.parquet"
    out.write_text("before")
    monkeypatch.setattr("recsys.cli.export.frame", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("recommend", "--all", "--out", out)
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]


def test_similar_items_are_of_item_cf_and_not_the_item_itself(run, recommender):
    code, told, _ = run("similar", "--item", "i3", "--k", 4, "--json")
    row = recommender.catalogue.items.encode(["i3"])
    expected = recommender.catalogue.items.decode(recommender.similar(row, 4).items[0]).tolist()
    assert code == 0
    assert [each["item_id"] for each in json.loads(told)["items"]] == expected
    assert "i3" not in expected


def test_an_item_that_nobody_has_had_has_nothing_similar(run):
    code, told, warned = run("similar", "--item", "i79")
    assert (code, told) == (0, "")
    assert "'i79'" in warned


def test_an_unknown_item_is_told_the_closest_in_one_line(run):
    code, told, warned = run("similar", "--item", "I1x")
    assert (code, told) == (2, "")
    assert warned == "recsys: no item 'I1x'; closest are 'i1', 'i71', 'i61'\n"


def test_closest_ids_are_found_whatever_the_case():
    assert closest("toy story", ["Heat (1995)", "Toy Story (1995)", "Toys (1992)"], 2) == [
        "Toy Story (1995)",
        "Toys (1992)",
    ]


def test_the_same_inputs_build_the_same_release(evaluation, published, release_id, run, tmp_path):
    assert run(*build(evaluation, tmp_path)) == (0, f"{release_id}\n", "")
    assert run("release", "verify", tmp_path / release_id)[0] == 0


def test_a_release_tells_the_newest_event_and_the_spec(published, release_id, recommender):
    manifest = json.loads((published / release_id / "manifest.json").read_text())
    assert manifest["newest_event"] == recommender.past.timestamp[-1]
    assert manifest["fingerprint"] == recommender.ranker.inputs_.spec.fingerprint
    assert manifest["params"]["cf"] == {"k": 5}


def test_list_names_each_release(run, release_id):
    _, told, _ = run("release", "list")
    assert told.splitlines()[1].split()[0] == release_id
    assert told.splitlines()[1].split()[-2:] == ["0.2000", "0.5000"]


def test_no_release_is_no_error_of_the_list(run, tmp_path):
    code, told, warned = run("release", "list", "--releases", tmp_path / "none")
    assert (code, told) == (0, "")
    assert "there is no release" in warned


@pytest.fixture
def worse(evaluation, published, tmp_path):
    """Folder of a release whose ndcg is a quarter lower."""
    copied = tmp_path / "evaluation"
    shutil.copytree(evaluation, copied)
    write_json(copied / "metrics.json", {"ndcg_at_10": 0.15})
    (copied / "params.yaml").write_text(PARAMS + "more: 1\n")
    assert main(build(copied, tmp_path / "releases")) == 0
    return next((tmp_path / "releases").iterdir())


def test_compare_lets_an_equal_release_pass(run, release_id):
    code, told, _ = run("release", "compare", release_id, release_id)
    assert code == 0
    assert f"{release_id} may take the place of {release_id}" in told
    assert "+0.0000 to +0.0000" in told


def test_compare_refuses_a_worse_release_with_exit_code_1(run, release_id, worse):
    code, told, _ = run("release", "compare", worse, release_id)
    assert code == 1
    assert "more than 2.0% lower" in told
    assert "must not take the place" in told


def test_compare_takes_tolerances_instead_of_the_candidates(run, release_id, worse):
    assert run("release", "compare", worse, release_id, "--tolerance", "ndcg_at_10=0.3")[0] == 0


def test_a_damaged_release_is_refused_in_one_line(run, published, release_id, tmp_path):
    shutil.copytree(published / release_id, tmp_path / "damaged")
    (tmp_path / "damaged" / "recommender" / "past.npz").write_bytes(b"0")
    for command in (["release", "verify", tmp_path / "damaged"], ["recommend", "--user", "u1"]):
        code, told, warned = run(
            *command, *(["--release", tmp_path / "damaged"] if "--user" in command else [])
        )
        assert (code, told) == (2, "")
        assert "past.npz" in warned
        assert len(warned.splitlines()) == 1


def test_data_check_tells_what_was_read(run, request):
    code, told, _ = run("data", "check", request.config.rootpath / "tests/data/tiny")
    assert code == 0
    assert "ratings.csv: 1,958 of 1,958 rows kept" in told


def test_data_list_names_the_built_in(run):
    assert "movielens-1m" in run("data", "list")[1]


def test_version_is_told(run):
    assert run("--version")[1].startswith("recsys ")


def test_without_a_command_help_is_shown(run):
    code, _, warned = run()
    assert code == 2
    assert "recsys recommend --user" in warned


@pytest.mark.parametrize(
    "command",
    [
        ["recommend"],
        ["similar"],
        ["release", "build"],
        ["release", "verify"],
        ["release", "list"],
        ["release", "live"],
        ["release", "compare"],
        ["data", "check"],
        ["data", "list"],
        ["train"],
    ],
    ids=" ".join,
)
def test_every_command_has_examples(run, command):
    code, told, _ = run(*command, "--help")
    assert code == 0
    assert f"Examples:\n    recsys {' '.join(command)}" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["recommend"], "either --user ID or --all"),
        (["recommend", "--user", "u1", "--all"], "either --user ID or --all"),
        (["recommend", "--user", "u1", "--out", "x.csv"], "--out goes with --all"),
        (["recommend", "--all"], "--all needs --out"),
        (["recommend", "--all", "--out", "x.csv", "--explain"], "neither --explain nor --json"),
        (["recommend", "--all", "--out", "x.txt"], "x.txt"),
        (["recommend", "--user", "u1", "--k", "0"], "--k"),
        (["recommend", "--user", "u1", "--k", "1001"], "--k"),
        (["recommend", "--user", "u1", "--k", "ten"], "--k"),
        (["recommend", "--user", "u" * (LONGEST_ID + 1)], "1 to 256 characters, not 257"),
        (["recommend", "--user", ""], "1 to 256 characters"),
        (["similar", "--item", "i" * (LONGEST_ID + 1)], "1 to 256 characters"),
        (["recommend", "--user", "u1", "--now", "yesterday"], "'yesterday'"),
        (["recommend", "--user", "u1", "--now", "9" * 30], "ISO 8601"),
        (["recommend", "--user", "u1", "--release", "nope"], "'nope'"),
        (["recommend", "--user", "u1", "--releases", "/none"], "/none: holds no release"),
        (["recommend", "--who", "u1"], "--who"),
        (["guess"], "'guess'"),
        (["release", "verify", "/none"], "/none"),
        (["release", "build", "--recommender", "/none", "--data", "/none"], "/none: is no folder with data"),
        (["data", "check", "/none"], "/none"),
        (["train"], "--mode"),
        (["train", "--mode", "half"], "'half'"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_bad_argument_gets_one_line_and_exit_code_2(run, arguments, told):
    code, printed, warned = run(*arguments)
    assert (code, printed) == (2, "")
    assert told in warned
    assert len(warned.splitlines()) == 1


def test_training_wants_the_repository(run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, warned = run("train", "--mode", "full")
    assert (code, warned) == (2, "recsys: no dvc.yaml here: run from the root of the repository\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["full", "--preset", "nosuch"], "no params.nosuch.yaml here; there are best"),
        (["partial", "--preset", "best"], "--preset goes with --mode full"),
        (["sampled", "--preset", "best"], "--preset goes with --mode full"),
    ],
)
def test_a_preset_that_is_not_there_or_not_meant_is_refused(run, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml", "params.best.yaml"):
        (tmp_path / name).touch()
    code, _, warned = run("train", "--mode", *arguments)
    assert code == 2
    assert told in warned


@pytest.mark.parametrize("tolerance", ["ndcg_at_10", "ndcg_at_10=2", "ndcg_at_10=x", "=0.1", "a=nan"])
def test_a_bad_tolerance_is_refused(run, release_id, tolerance):
    code, _, warned = run("release", "compare", release_id, release_id, "--tolerance", tolerance)
    assert code == 2
    assert tolerance in warned


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("params.yaml", "a: [1"),
        ("params.yaml", "just words"),
        ("params.yaml", "day: 2020-01-01"),
        ("metrics.json", "{"),
        ("metrics.json", '{"ndcg_at_10": "high"}'),
        ("recommender/past.npz", "PK\x03\x04 cut short"),
        ("recommender/ranker/spec.json", '{"columns": [{}]}'),
    ],
)
def test_nothing_is_built_from_a_bad_file(run, evaluation, tmp_path, name, content):
    copied = tmp_path / "evaluation"
    shutil.copytree(evaluation, copied)
    (copied / name).write_text(content)
    code, told, warned = run(*build(copied, tmp_path / "releases"))
    assert (code, told) == (2, "")
    assert len(warned.splitlines()) == 1
    assert str(copied) in warned
    assert not (tmp_path / "releases").exists()


def test_a_fault_of_the_program_is_not_hidden(run, monkeypatch):
    monkeypatch.setattr("recsys.cli.recommendations.load_recommender", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("recommend", "--user", "u1")


def test_a_moment_is_seconds_or_iso_in_utc_unless_it_says_otherwise():
    assert moment("1000000000") == moment("2001-09-09T01:46:40") == moment("2001-09-09T03:46:40+02:00")
    assert moment("-1") == -1
    assert moment(None) is None


def test_columns_of_a_table_line_up():
    assert list(table(["a", "long"], [["text", "1"], ["x", "10.5"]])) == [
        "a     long",
        "text     1",
        "x     10.5",
    ]


def test_help_loads_none_of_the_heavy_libraries():
    heavy = {"torch", "faiss", "pandas", "numpy", "pyarrow", "scipy", "rich", "pydantic"}
    code = f"import sys, recsys.cli as c; c.main(['--help']); print(sorted({heavy!r} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"
