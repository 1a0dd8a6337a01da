"""`recsys train` with DVC itself, on the tiny data set: killed and run again, pushed and pulled, a day on."""

import ctypes
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml
import zc.lockfile
from processes import BIN, BUCKET

from recsys.artifacts import read_json
from recsys.release import list_releases, live_id

ROOT = Path(__file__).parents[2]
SPLIT = "global_time"
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
KEPT = ("notebooks", "src", ".dvc", ".dvcignore", "dvc.yaml", "rules.yaml", "tests/data/tiny")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("training")]


def params(**data):
    told = yaml.safe_load((ROOT / "tests/notebooks/params.yaml").read_text())
    sizes = {"late": 0.1, "valid": 0.1, "test": data.pop("test", 0.1)}
    told["data"] |= {"dataset": "tests/data/tiny", "splits": {SPLIT: sizes}, **data}
    told["release"]["split"] = SPLIT
    return yaml.safe_dump(told)


@pytest.fixture(scope="module", autouse=True)
def orphans():
    """This process waits for what its children leave behind: not everywhere does process 1."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    yield
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Make a repository of the tiny data set, with a cache of its own."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        for each in KEPT:
            source, target = ROOT / each, folder / each
            target.parent.mkdir(parents=True, exist_ok=True)
            ignored = shutil.ignore_patterns("cache", "tmp", "config.local", "__pycache__")
            shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(
                source, target
            )
        (folder / "params.yaml").write_text(params(test=0.3))
        run(folder, "dvc", "config", "core.no_scm", "true")
        return folder

    return make


def environment(folder, **more):
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    home = {"RECSYS_RELEASES": "artifacts/releases", "PYTHONPATH": str(folder / "src")}
    return (
        {name: value for name, value in os.environ.items() if name != "RECSYS_REMOTE"}
        | home
        | {
            "PATH": path,
            **more,
        }
    )


def run(folder, *command, code=0, **more):
    told = subprocess.run(
        command, cwd=folder, env=environment(folder, **more), capture_output=True, text=True
    )
    assert told.returncode == code, told.stdout[-3000:] + told.stderr[-3000:]
    return told.stdout


@pytest.fixture(scope="module")
def trained(repository):
    """A repository in which all of the pipeline ran, once and undisturbed."""
    folder = repository("trained")
    run(folder, "recsys", "train", "--mode", "full")
    return folder


def metrics(folder):
    return {path.name: read_json(path) for path in sorted((folder / "reports").rglob("*.json"))}


def test_training_that_was_killed_goes_on_and_ends_the_same(repository, trained):
    folder = repository("killed")
    command = [str(BIN / "recsys"), "train", "--mode", "full"]
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=log, stderr=log, start_new_session=True
        )
    waits = time.monotonic() + 300
    while not (folder / "artifacts" / SPLIT / "recall" / "mf").exists():  # two_tower's notebook runs
        assert running.poll() is None, (folder / "log").read_text()[-3000:]
        assert time.monotonic() < waits
        time.sleep(0.1)
    time.sleep(2)
    family = [running, *psutil.Process(running.pid).children(recursive=True)]
    for each in family:
        each.kill()
    assert not psutil.wait_procs(family, timeout=60)[
        1
    ]  # DVC's locks hold for as long as their process is there
    assert not list((folder / "artifacts/releases").glob("*"))
    told = run(folder, "recsys", "train", "--mode", "full")
    assert "Stage 'mf@global_time' didn't change, skipping" in told
    assert metrics(folder) == metrics(trained)
    assert ids(folder) == ids(trained)


def ids(folder):
    return [each.id for each in list_releases(folder / "artifacts/releases")]


def test_training_waits_while_another_looks_at_the_stages(trained):
    other = zc.lockfile.LockFile(str(trained / ".dvc/tmp/lock"))
    release = threading.Timer(6, other.close)  # DVC alone gives up after 3 s
    release.start()
    run(trained, "recsys", "train", "--mode", "full")
    release.join()


def test_what_is_pushed_is_pulled_and_nothing_has_changed(trained, s3_server):
    remote = {"AWS_ENDPOINT_URL": s3_server.endpoint, **s3_server.credentials()}
    run(trained, "dvc", "remote", "add", "--force", "--default", "storage", f"s3://{BUCKET}/dvc")
    run(trained, "dvc", "remote", "modify", "--local", "storage", "endpointurl", s3_server.endpoint)
    before = ids(trained)
    run(trained, "dvc", "push", **remote)
    for each in (".dvc/cache", "artifacts", "data", "reports/notebooks"):
        shutil.rmtree(trained / each)
    run(trained, "dvc", "pull", **remote)
    assert "up to date" in run(trained, "dvc", "status")
    assert ids(trained) == before


def test_a_day_later_the_release_goes_on_from_what_answers(trained):
    (live,) = list_releases(trained / "artifacts/releases")
    (trained / "params.yaml").write_text(params(test=0.1))
    told = run(trained, "recsys", "train", "--mode", "partial", "--no-gate")
    (made,) = list_releases(trained / "artifacts/partial/releases")
    assert told.splitlines()[-1] == f"artifacts/partial/releases/{made.id}"
    assert made.manifest.params["partial"]["after"] == live.id
    assert made.manifest.newest_event > live.manifest.newest_event


def test_partial_training_wants_a_release_to_go_on_from(repository):
    folder = repository("empty")
    run(folder, "recsys", "train", "--mode", "partial", code=2)


def test_what_is_worse_is_not_published(trained, s3_server):
    remote = {**s3_server.credentials(), "RECSYS_REMOTE": f"s3://{BUCKET}/training"}
    (live,) = ids(trained)
    run(trained, "recsys", "release", "publish", live, "--no-gate", **remote)
    (trained / "params.yaml").write_text(params(test=0.1))
    blocked = [f"i{number}" for number in range(1, 75)]
    (trained / "rules.yaml").write_text(yaml.safe_dump({"block": {"items": blocked}}))
    told = run(trained, "recsys", "train", "--mode", "partial", code=1, **remote)
    assert f"must not take the place of {live}" in told
    published = run(trained, "recsys", "release", "list", "--remote", remote["RECSYS_REMOTE"], **remote)
    assert [line.split()[:2] for line in published.splitlines()[1:]] == [[live, "live"]]


def test_what_is_refused_does_not_answer_nor_is_it_compared_with(trained):
    folder = trained / "artifacts/releases"
    (live,) = ids(trained)
    (trained / "params.yaml").write_text(params(test=0.3))
    blocked = [f"i{number}" for number in range(1, 75)]
    (trained / "rules.yaml").write_text(yaml.safe_dump({"block": {"items": blocked}}))
    for _ in range(2):
        told = run(trained, "recsys", "train", "--mode", "full", code=1)
        assert f"must not take the place of {live}" in told
        assert live_id(folder) == live
        assert len(ids(trained)) == 2
