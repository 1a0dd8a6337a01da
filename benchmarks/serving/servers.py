"""What the benchmarks ask: servers that are started, awaited and stopped again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy"))

from processes import Redis, ServerError, free_port  # noqa: E402

SERVICE = (ROOT / "bentos" / "recommender", "service:RecommenderService")
"""Folder and name of the service."""
RELEASES = ROOT / "artifacts" / "releases"
REPORTS = ROOT / "reports" / "benchmarks"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Sums that are split otherwise differ in their last digits, and two cores have other things to do."""
WORKER = b"_bentoml_impl.worker"
"""What tells the process that answers from its parent, which only watches it."""
LONGEST_START, LONGEST_STOP = 180.0, 30.0
"""Seconds."""


@dataclass(frozen=True)
class Server:
    """A server that answers at ``port``, and the seconds that passed until it did."""

    port: int
    pid: int
    ready_after: float

    def worker(self) -> int:
        """The process that answers; ``pid`` is its parent's."""
        (worker,) = (
            pid for pid in _children(self.pid) if WORKER in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
        return worker

    def counted(self, metric: str) -> float:
        """Value of a counter that has no labels; 0 where the server does not have it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as told:
            lines = told.read().decode().splitlines()
        return sum(float(line.split()[1]) for line in lines if line.startswith(f"{metric} "))


@contextmanager
def served(
    folder: Path, service: str, told: dict[str, str], python: str = sys.executable
) -> Iterator[Server]:
    """``bentoml serve``, which starts one worker; ``told`` by the environment."""
    port = free_port()
    environment = os.environ | ONE_THREAD | {"BENTOML_DO_NOT_TRACK": "True"} | told
    command = [python, "-m", "bentoml", "serve", service, "--port", str(port)]
    began = time.perf_counter()
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            _await(process, port, log)
            yield Server(port, process.pid, time.perf_counter() - began)
        finally:
            _stop(process)


@contextmanager
def redis_server() -> Iterator[str]:
    """Address of a Redis that keeps nothing on disk."""
    with tempfile.TemporaryDirectory() as folder:
        server = Redis(Path(folder))
        try:
            server.start()
            yield server.url
        except ServerError as error:
            raise SystemExit(str(error)) from None
        finally:
            server.stop()


def _await(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    """Return once the server says that it is ready; SystemExit with its log where it never does."""
    end = time.monotonic() + LONGEST_START
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
            return
        except OSError:
            time.sleep(0.05)
    log.seek(0)
    raise SystemExit(f"the server does not start:\n{log.read().decode(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; what has not ended then, worker or parent, is killed."""
    workers = _children(process.pid)
    process.terminate()
    try:
        process.wait(LONGEST_STOP)
    except subprocess.TimeoutExpired:
        for pid in [*workers, process.pid]:
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in threads for child in file.read_text().split()]
