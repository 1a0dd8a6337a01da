"""Time and memory of building CF tables: ours beside implicit's cosine item-item, in one run.

Each build has a process of its own, which compiles (or imports) on a toy data set first, then
builds once. Contenders take turns, so a machine that is busy is busy for all of them. implicit
starts from a ready user-item matrix; ours from interactions, whose sorting counts. The ratios are
those of the medians; both kinds of seconds stand in the report, of the clock and of the processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from os import sched_getaffinity
from pathlib import Path

import numpy as np
from scipy import sparse
from synthetic import power_law

from recsys.artifacts import read_arrays, write_arrays, write_json
from recsys.data.prepare import prepare
from recsys.recall.item_cf import ItemCfRecall
from recsys.recall.user_cf import UserCfRecall
from recsys.types import Interactions

REFERENCE = "implicit_cosine"
OFF = {"iuf": False, "age_decay": 0.0, "step_decay": 0.0, "backward": 1.0, "power": 0.5}
ON = {
    "iuf": True,
    "age_decay": 0.002,
    "time_decay": 0.01,
    "step_decay": 0.02,
    "backward": 0.5,
    "category_weight": 1.5,
    "power": 0.4,
    "shrinkage": 1.0,
}
N_CATEGORIES = 18


def implicit_cosine(train: Interactions, k: int) -> Callable[[], object]:
    from implicit.nearest_neighbours import CosineRecommender

    # It counts the item itself among its neighbours.
    model = CosineRecommender(K=k + 1, num_threads=len(sched_getaffinity(0)))
    matrix = sparse.csr_matrix(train.matrix())
    warnings.filterwarnings("ignore", "Method expects CSR input")  # implicit's own, of what it makes itself
    return lambda: model.fit(matrix, show_progress=False)


def item_cf_off(train: Interactions, k: int) -> Callable[[], object]:
    return lambda: ItemCfRecall(k_similar=k, **OFF).fit(train)


def item_cf_on(train: Interactions, k: int) -> Callable[[], object]:
    categories = np.uint64(1) << np.random.default_rng(0).integers(0, N_CATEGORIES, train.n_items, np.uint64)
    return lambda: ItemCfRecall(k_similar=k, categories=categories, **ON).fit(train)


def user_cf(train: Interactions, k: int) -> Callable[[], object]:
    return lambda: UserCfRecall(k_similar=k).fit(train)


CONTENDERS = {each.__name__: each for each in (implicit_cosine, item_cf_off, item_cf_on, user_cf)}

COMPARED = (REFERENCE, "item_cf_off", "item_cf_on")
"""Built in every repeat; user_cf, which implicit has no like of, once."""


def main() -> None:
    arguments = parse()
    if arguments.build:
        build(*arguments.build, k=arguments.k)
        return
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = write_data(Path(folder), arguments)
        builds = {name: {contender: [] for contender in CONTENDERS} for name in files}
        for name, file in files.items():
            for repeat in range(arguments.repeats):
                for contender in CONTENDERS if not repeat else COMPARED:
                    builds[name][contender].append(build_apart(contender, file, arguments.k))
                    print(name, contender, builds[name][contender][-1], flush=True)
    report = {
        "data": {name: summary(runs) for name, runs in builds.items()},
        "k": arguments.k,
        "repeats": arguments.repeats,
        "weights_on": ON,
        "cpus": len(sched_getaffinity(0)),
        "versions": {name: version(name) for name in ("implicit", "numba", "numpy")},
        "seconds": round(time.perf_counter() - started),
    }
    write_json(arguments.out, report)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("reports/benchmarks/cf_build.json"))
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="where MovieLens is or goes")
    parser.add_argument("--k", type=int, default=100, help="similar ones kept (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="builds of each (default: %(default)s)")
    parser.add_argument("--users", type=int, default=200_000, help="of the synthetic set")
    parser.add_argument("--items", type=int, default=50_000, help="of the synthetic set")
    parser.add_argument("--interactions", type=int, default=10_000_000, help="of the synthetic set")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic set")
    parser.add_argument("--build", nargs=2, metavar=("CONTENDER", "FILE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def write_data(folder: Path, arguments: argparse.Namespace) -> dict[str, Path]:
    """Write each data set to a file that a build reads."""
    sets = {
        "movielens-1m": prepare("movielens-1m", arguments.raw, seed=arguments.seed).interactions,
        "synthetic": power_law(arguments.users, arguments.items, arguments.interactions, arguments.seed),
    }
    for name, train in sets.items():
        write_arrays(
            folder / f"{name}.npz",
            {
                "user_idx": train.user_idx,
                "item_idx": train.item_idx,
                "timestamp": train.timestamp,
                "value": train.value,
                "sizes": np.array([train.n_users, train.n_items]),
            },
        )
    return {name: folder / f"{name}.npz" for name in sets}


def build_apart(contender: str, file: Path, k: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--build", contender, str(file), "--k", str(k)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def build(contender: str, file: str, k: int) -> None:
    """Build once, in this process, and print what it took."""
    CONTENDERS[contender](power_law(60, 40, 500, seed=0), 10)()
    arrays = read_arrays(Path(file))
    n_users, n_items = arrays.pop("sizes").tolist()
    run = CONTENDERS[contender](Interactions(**arrays, labels={}, n_users=n_users, n_items=n_items), k)
    del arrays
    clock, processor = time.perf_counter(), time.process_time()
    run()
    measured = {
        "seconds": round(time.perf_counter() - clock, 3),
        "processor_seconds": round(time.process_time() - processor, 3),
        "peak_mb": peak_mb(),
    }
    print(json.dumps(measured))


def peak_mb() -> int:
    """Peak memory of this process: getrusage's would be the parent's where that was the larger one."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) // 1024


def summary(runs: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, object]]:
    """Medians of each contender, their ratios to implicit's, and every single build."""
    medians = {
        contender: {measure: statistics.median(run[measure] for run in each) for measure in each[0]}
        for contender, each in runs.items()
    }
    return {
        contender: {
            **median,
            "ratio": {key: round(value / medians[REFERENCE][key], 3) for key, value in median.items()},
            "builds": runs[contender],
        }
        for contender, median in medians.items()
    }


if __name__ == "__main__":
    main()
