"""What a container runs, as a plain process: pull, follow, serve, end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
import start
from processes import BIN, BUCKET, answers_at, free_port

BENTO = Path(start.__file__).parent
COMES_UP, ENDS = 120.0, 30.0
"""Seconds; an orchestrator kills what has not ended after so many."""


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What containers are told, and no release anywhere."""
    monkeypatch.setenv("RECSYS_RELEASES", str(tmp_path / "releases"))
    monkeypatch.setenv("RECSYS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BENTOML_DO_NOT_TRACK", "True")
    for name in ("RECSYS_REMOTE", "RECSYS_RELEASE", "PROMETHEUS_MULTIPROC_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@contextmanager
def started(port: int, log: Path):
    """The process, which is killed where it has not ended."""
    command = [sys.executable, start.__file__, "--port", str(port)]
    with log.open("wb") as says, subprocess.Popen(command, stdout=says, stderr=says) as process:
        try:
            yield process
        finally:
            process.kill()


def comes_true(fact: Callable[[], bool], seconds: float = COMES_UP) -> bool:
    end = time.monotonic() + seconds
    while not fact() and time.monotonic() < end:
        time.sleep(0.05)
    return fact()


def children(pid: int) -> dict[int, str]:
    """Command line by id."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in found}


def run() -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, start.__file__], capture_output=True, text=True, timeout=COMES_UP)


def test_without_a_release_or_somewhere_to_pull_one_from_it_says_what_to_do(told):
    done = run()
    assert done.returncode == 2
    assert done.stderr == (
        f"start: there is no release in {told / 'releases'}: put one there, "
        "or say by RECSYS_REMOTE where to pull it from\n"
    )


def test_what_cannot_be_pulled_is_said_and_nothing_starts(told, monkeypatch):
    monkeypatch.setenv("RECSYS_REMOTE", "not-a-bucket")
    done = run()
    assert done.returncode == 2
    assert done.stderr == "recsys: 'not-a-bucket' is not s3://BUCKET/PREFIX\n"


@pytest.mark.xdist_group("s3")
def test_it_pulls_follows_and_ends_when_asked(told, s3, releases, monkeypatch):
    monkeypatch.setenv("RECSYS_REMOTE", f"s3://{BUCKET}/{told.name}")
    release = next(releases.glob("[0-9a-f]*"))
    subprocess.run([BIN / "recsys", "release", "publish", str(release), "--no-gate"], check=True)
    port, log = free_port(), told / "log"
    with started(port, log) as process:
        assert comes_true(lambda: answers_at(port)), log.read_text()
        assert (told / "releases" / release.name).exists()
        (follower,) = (pid for pid, command in children(process.pid).items() if "follow" in command)
        os.kill(follower, signal.SIGKILL)
        assert comes_true(lambda: "is started again" in log.read_text())
        assert comes_true(lambda: any("follow" in each for each in children(process.pid).values()))
        family = list(children(process.pid))
        process.terminate()
        assert process.wait(ENDS) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in family)
    assert not answers_at(port)


def test_asked_to_end_while_it_pulls_it_ends(told, monkeypatch):
    monkeypatch.setenv("RECSYS_REMOTE", f"s3://{BUCKET}/nowhere")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with started(free_port(), told / "log") as process:
        assert comes_true(lambda: any("pull" in each for each in children(process.pid).values()))
        process.terminate()
        assert process.wait(ENDS) == 128 + signal.SIGTERM


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """Compiled kernels that an image brings."""
    (tmp_path / "image" / "recall").mkdir(parents=True)
    (tmp_path / "image" / "recall" / "kernel.nbc").write_text("code")
    monkeypatch.setenv("RECSYS_KERNELS", str(tmp_path / "image"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NUMBA_CPU_NAME", start.PROCESSOR)
    return tmp_path / "cache"


def test_kernels_are_laid_where_numba_may_write(brought, monkeypatch):
    monkeypatch.setattr(start, "_abilities", lambda: start.NEEDED | {"sse"})
    start.lay_out_kernels()
    assert (brought / "recall" / "kernel.nbc").read_text() == "code"
    assert os.environ["NUMBA_CPU_NAME"] == start.PROCESSOR


def test_a_processor_that_is_older_is_given_other_kernels(brought, monkeypatch, capsys):
    monkeypatch.setattr(start, "_abilities", lambda: start.NEEDED - {"avx2"})
    start.lay_out_kernels()
    assert not brought.exists()
    assert os.environ["NUMBA_CPU_NAME"] == "generic"
    assert "compiled anew" in capsys.readouterr().err


def test_the_abilities_of_this_machine_are_read():
    assert "fpu" in start._abilities()
