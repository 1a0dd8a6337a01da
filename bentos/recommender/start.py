"""What a container runs: the service, and beside it what follows the releases that are published.

`python start.py [OPTIONS]`, which `bentoml serve` gets. With RECSYS_REMOTE the release that is to answer is
pulled first and followed from then on. Ends as and when the service does; asked to end, it asks the service.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
RELEASE = [str(BIN / "recsys"), "release"]
SERVICE = [str(BIN / "bentoml"), "serve", "service:RecommenderService"]
AGAIN = 1.0
"""Seconds until what follows is started again."""
KEPT = 3
"""Releases on disk: the one that answers and those it can go back to at once."""
PROCESSOR, NEEDED = "x86-64-v3", {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
"""Of an image's kernels, and what it must be able to do to run them."""


def main() -> int:
    """Exit code of the service, or of `recsys release pull` where that fails; 2 where there is no release."""
    # The first process of a container is deaf to what it does not listen to.
    signal.signal(signal.SIGTERM, _leave)
    remote = os.environ.get("RECSYS_REMOTE")
    releases = Path(os.environ.get("RECSYS_RELEASES") or "artifacts/releases").absolute()
    lay_out_kernels()
    if remote:
        pulled = subprocess.run([*RELEASE, "pull"]).returncode
        if pulled and not has_release(releases):
            return pulled
    elif not has_release(releases):
        say(
            f"there is no release in {releases}: put one there, or say by RECSYS_REMOTE where to pull it from"
        )
        return 2
    return Running(follows=bool(remote)).until_the_end()


def lay_out_kernels() -> None:
    """Copy compiled kernels to where numba looks: it reads none where it could not write."""
    brought, cache = os.environ.get("RECSYS_KERNELS"), os.environ.get("NUMBA_CACHE_DIR")
    if not brought or not cache:
        return
    if os.environ.get("NUMBA_CPU_NAME") == PROCESSOR and NEEDED - _abilities():
        os.environ["NUMBA_CPU_NAME"] = "generic"
        say(f"this processor is no {PROCESSOR}: kernels are compiled anew, for any")
    else:
        shutil.copytree(brought, cache, dirs_exist_ok=True)


def has_release(releases: Path) -> bool:
    """Whether any is there; the service says what is wrong with it."""
    return any(releases.glob("*/manifest.json"))


class Running:
    """The service and what ``follows``."""

    def __init__(self, follows: bool) -> None:
        self.service = subprocess.Popen([*SERVICE, *sys.argv[1:]], cwd=HERE)
        self.follower = self._follow() if follows else None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def until_the_end(self) -> int:
        """Wait for the service and give its exit code; start again what follows."""
        while True:
            pid, status = os.wait()  # also for whom nobody else waits, as the first process has to
            if pid == self.service.pid:
                break
            if self.follower is not None and pid == self.follower.pid:
                code = os.waitstatus_to_exitcode(status)
                say(f"recsys release follow ended with {code}; it is started again")
                time.sleep(AGAIN)
                self.follower = self._follow()
        if self.follower is not None:
            self.follower.kill()
            self.follower.wait()
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def _follow(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*RELEASE, "follow", "--keep", str(KEPT)])

    def _end(self, number: int, frame: FrameType | None) -> None:
        os.kill(self.service.pid, signal.SIGTERM)


def say(what: str) -> None:
    """Tell whoever reads the container's log."""
    print(f"start: {what}", file=sys.stderr, flush=True)


def _abilities() -> set[str]:
    """Flags of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return set(next((line.partition(":")[2] for line in lines if line.startswith("flags")), "").split())


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
