"""`recsys release` between machines: S3 in the middle, a folder of releases on either side."""

import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from processes import BIN, BUCKET

from recsys.artifacts import write_arrays
from recsys.cli import main
from recsys.gate import PER_USER
from recsys.pipeline import Reranking
from recsys.release import RECOMMENDER, build, pointer

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(scope="module")
def made(recommender, tmp_path_factory):
    """Releases of some ``ndcg_at_10`` each, in one folder."""
    into = tmp_path_factory.mktemp("releases")

    def made(ndcg: float):
        part = tmp_path_factory.mktemp("part")
        replace(recommender, reranking=Reranking(pool=20 + round(100 * ndcg))).save(part / RECOMMENDER)
        write_arrays(part / PER_USER, {"user_idx": np.arange(50), "ndcg_at_10": np.full(50, ndcg)})
        return build(
            {RECOMMENDER: part / RECOMMENDER, PER_USER: part / PER_USER},
            into,
            params={"release": {"gate": {"ndcg_at_10": 0.02}}},
            metrics={"ndcg_at_10": ndcg},
            data_hash="d1",
            fingerprint=recommender.ranker.inputs_.spec.fingerprint,
            newest_event=recommender.now - 1,
            revision="abc",
        )

    return {ndcg: made(ndcg) for ndcg in (0.2, 0.3)}


@pytest.fixture
def run(s3, made, monkeypatch, tmp_path, capsys):
    """Run a command at one machine, that of the trainer if not another: exit code, stdout, stderr."""
    monkeypatch.setenv("RECSYS_REMOTE", f"s3://{BUCKET}/{tmp_path.name}")

    def run(*arguments, releases=None):
        capsys.readouterr()
        monkeypatch.setenv("RECSYS_RELEASES", str(releases or made[0.2].folder.parent))
        code = main(["release", *arguments])
        told = capsys.readouterr()
        return code, told.out.strip(), told.err.strip()

    return run


def test_what_one_publishes_another_pulls_and_it_answers_there(run, made, tmp_path):
    good = made[0.2].id
    assert run("publish", good) == (0, good, "")
    assert run("pull", releases=tmp_path / "there") == (0, good, "")
    assert pointer(tmp_path / "there").id == good
    assert run("publish", good) == (0, good, "")  # it is there, and answers


def test_what_is_worse_is_not_published_unless_the_gate_is_passed_by(run, made):
    good, bad = made[0.3].id, made[0.2].id
    run("publish", good)
    code, told, _ = run("publish", bad)
    assert (code, told.splitlines()[-1]) == (1, f"{bad} must not take the place of {good}")
    assert bad not in run("list", "--remote", os.environ["RECSYS_REMOTE"])[1]
    assert run("publish", bad, "--no-gate")[:2] == (0, bad)
    assert f"{bad}  live" in run("list", "--remote", os.environ["RECSYS_REMOTE"])[1]


def test_rollback_goes_to_the_one_before(run, made):
    first, second = made[0.2].id, made[0.3].id
    assert run("publish", first)[0] == 0
    assert run("rollback")[0::2] == (
        2,
        f"recsys: {os.environ['RECSYS_REMOTE']}: no other release was ever to answer",
    )
    assert run("publish", second)[0] == 0
    assert run("rollback") == (0, first, "")
    assert run("rollback") == (0, second, "")
    assert run("rollback", first) == (0, first, "")


def test_prune_says_what_is_gone(run, made):
    run("publish", made[0.2].id)
    run("publish", made[0.3].id)
    assert run("prune", "--keep", "1") == (0, "", "")  # one answers, one did before


def test_a_follower_goes_over_and_stays_when_s3_is_away(run, made, s3, tmp_path):
    first, second = made[0.2].id, made[0.3].id
    run("publish", first)
    there = tmp_path / "there"
    (there / ("0" * 12)).mkdir(parents=True)  # pulled long ago
    options = ["--every", "0.1", "--keep", "2", "--releases", str(there)]
    command = [str(BIN / "recsys"), "release", "follow", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as follower:
        try:
            assert follower.stderr.readline() == f"{first} is to answer\n"
            run("publish", second)
            assert follower.stderr.readline() == f"{second} is to answer\n"
            s3.stop()
            assert follower.stderr.readline().startswith("nothing has changed here: ")
            assert pointer(there).id == second
            assert {each.name for each in there.iterdir() if each.is_dir()} == {first, second}
            s3.start()
            told = iter(
                follower.stderr.readline, f"{second} is to answer\n"
            )  # S3 may still fail while it starts
            assert all(line.startswith("nothing has changed here: ") for line in told)
        finally:
            follower.kill()


def test_wrong_credentials_are_one_line(run, made, s3, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    code, _, told = run("publish", made[0.2].id)
    assert (code, len(told.splitlines())) == (2, 1)
    assert "are the credentials right?" in told
