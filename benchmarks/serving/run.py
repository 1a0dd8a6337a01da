"""The service against a trivial endpoint of the same BentoML: `python benchmarks/serving/run.py`.

One worker each, the newest release in artifacts/releases, users drawn by how much they did, lists of 20. The
contenders run in turn, round after round; the medians over the rounds are what is reported. Closed loops tell
how much a server can do, one connection how long an answer takes, and requests that come at half of a
server's own peak (Poisson) what waiting does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from load import Load, closed, opened, post

from recsys.artifacts import write_json
from recsys.release import RECOMMENDER, list_releases
from recsys.types import Interactions
from recsys.vocabulary import Vocabulary

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RELEASES = ROOT / "artifacts" / "releases"
REPORT = ROOT / "reports" / "benchmarks" / "serving.json"
K, CONNECTIONS, REQUESTS = 20, 8, 5000
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Of a server's peak: loads at which waiting is measured."""


def main() -> None:
    arguments = parse()
    folder = list_releases(RELEASES)[-1].folder
    asks = requests(folder)
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service = ROOT / "bentos" / "recommender"
        without_cache = {"RECSYS_CACHE_MB": "0"}
        contenders = {
            "trivial": (HERE, "trivial:Trivial", {}),
            "embedded": (
                service,
                "service:RecommenderService",
                {"RECSYS_STORE": str(scratch / "a"), **without_cache},
            ),
            "redis": (service, "service:RecommenderService", {"RECSYS_STORE": redis, **without_cache}),
            "cached": (service, "service:RecommenderService", {"RECSYS_STORE": str(scratch / "b")}),
        }
        ports = {name: stack.enter_context(served(*each)) for name, each in contenders.items()}
        report = measured(ports, asks, arguments.rounds, arguments.seconds)
    write_json(REPORT, report)
    print(json.dumps(report, indent=2))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    return parser.parse_args()


def requests(release: Path) -> list[bytes]:
    """Prepared requests of users drawn by their interactions."""
    past = Interactions.load(release / RECOMMENDER / "past.npz")
    users = Vocabulary.of(json.loads((release / RECOMMENDER / "catalogue" / "users.json").read_text()))
    drawn = np.random.default_rng(0).choice(past.user_idx, REQUESTS)
    return [post("/recommend", json.dumps({"user_id": id_, "k": K}).encode()) for id_ in users.decode(drawn)]


def measured(ports: dict[str, int], asks: Sequence[bytes], rounds: int, seconds: float) -> dict[str, Any]:
    """Figures of each contender, and what the issue's ratios are made of."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ports}
    for name, port in ports.items():
        closed(port, asks, 1, seconds if name != "cached" else 4 * seconds)  # warm
    for _ in range(rounds):
        for name, port in ports.items():
            runs[name].append(one_round(port, asks, seconds))
    figures = {
        name: {figure: median(run[figure] for run in each) for figure in each[0]}
        for name, each in runs.items()
    }
    peak = figures["embedded"]["requests_per_second"]
    waiting = [
        {"share_of_peak": share, **quantiles(opened(ports["embedded"], asks, share * peak, seconds))}
        for share in SHARES
    ]
    trivial = figures["trivial"]
    return {
        "servers": figures,
        "embedded_by_load": waiting,
        "ratios": {
            f"{name}_to_trivial": figures[name]["requests_per_second"] / trivial["requests_per_second"]
            for name in ("embedded", "redis", "cached")
        }
        | {"redis_to_embedded": figures["redis"]["requests_per_second"] / peak},
        "added_ms_at_the_median": figures["embedded"]["p50_ms"] - trivial["p50_ms"],
    }


def one_round(port: int, asks: Sequence[bytes], seconds: float) -> dict[str, float]:
    full, alone = closed(port, asks, CONNECTIONS, seconds), closed(port, asks, 1, seconds)
    half = opened(port, asks, full.per_second / 2, seconds)
    failed = full.failed + alone.failed + half.failed
    waiting = {f"half_load_{name}": value for name, value in quantiles(half).items()}
    return {"requests_per_second": full.per_second, **quantiles(alone), **waiting, "failed": failed}


def quantiles(load: Load) -> dict[str, float]:
    return {"p50_ms": load.quantile(0.5), "p99_ms": load.quantile(0.99)}


@contextmanager
def served(folder: Path, service: str, told: dict[str, str]) -> Iterator[int]:
    """Port at which ``bentoml serve`` answers."""
    port = free_port()
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "RECSYS_RELEASES": str(RELEASES),
    }
    command = [sys.executable, "-m", "bentoml", "serve", service, "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment | told, start_new_session=True) as server:
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz")
                    break
                except OSError:
                    time.sleep(0.1)
            yield port
        finally:
            os.killpg(server.pid, signal.SIGTERM)


@contextmanager
def redis_server() -> Iterator[str]:
    if not shutil.which("redis-server"):
        raise SystemExit("redis-server is missing: apt-get install redis-server")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield f"redis://127.0.0.1:{port}"
        server.terminate()


def free_port() -> int:
    with socket.socket() as any_free:
        any_free.bind(("127.0.0.1", 0))
        port: int = any_free.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
