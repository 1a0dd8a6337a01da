"""Kinds of search against each other, recall against time and memory: `python benchmarks/ann/run.py`.

Two catalogues: two_tower's item vectors of MovieLens-1M, and a million made from these (`crowded`), for
vectors drawn at random have no neighbours worth finding. Real users' vectors ask, one by one, by one thread.
An index is asked with several efforts; 1 is what a channel does.

Recall is the share of exact search's k best that are found. Bytes are those of the index, beside the vectors.
Needs the fitted channels of `dvc repro`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from recsys import plots
from recsys.artifacts import write_json
from recsys.data.dataset import Dataset
from recsys.evaluate import Judge
from recsys.recall.ann import Kind, Search
from recsys.recall.two_tower import TwoTowerRecall
from recsys.recall.vectors import unit
from recsys.types import Histories

SPLIT = "leave_last_out"
REPORT = Path("reports/benchmarks/ann.json")
EFFORTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
NEIGHBOURS, NOISE = 10, 0.3
"""A made item lies between a real one and one of so many nearest to it, and so far aside."""


def crowded(vectors: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Make ``n`` unit vectors that lie where ``vectors`` (m, d) do, as closely packed in the same places."""
    rng = np.random.default_rng(seed)
    near = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1 : NEIGHBOURS + 1]
    made = []
    for start in range(0, n, len(vectors)):
        one = rng.permutation(len(vectors))[: n - start]
        other = near[one, rng.integers(0, NEIGHBOURS, len(one))]
        between = rng.random((len(one), 1))
        aside = NOISE / vectors.shape[1] ** 0.5 * rng.normal(size=(len(one), vectors.shape[1]))
        made.append(unit((1 - between) * vectors[one] + between * vectors[other] + aside))
    return np.concatenate(made).astype(np.float32)


def asked(search: Search, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Items found (n, k) and milliseconds (n,), query by query."""
    nothing = np.zeros(0, np.int32)
    nobody = Histories(nothing, nothing, nothing, np.zeros(1, np.int64), np.zeros(1, np.int64))
    search.best_unseen(queries[:1], nobody, k)  # the first call pays for starting up
    found, milliseconds = [], []
    for query in queries:
        started = perf_counter()
        found.append(search.best_unseen(query[None], nobody, k).items[0])
        milliseconds.append(1000 * (perf_counter() - started))
    return np.stack(found), np.array(milliseconds)


def measured(kind: Kind, vectors: np.ndarray, queries: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    """What one kind takes to build and to keep, and what it finds in what time."""
    started = perf_counter()
    built = Search.of(vectors, np.zeros(0, np.int64), kind)
    seconds = perf_counter() - started
    rows = []
    for effort in EFFORTS if kind != "flat" else EFFORTS[-1:]:
        found, milliseconds = asked(replace(built, effort=effort), queries, exact.shape[1])
        shares = [np.isin(best, mine).mean() for best, mine in zip(exact, found, strict=True)]
        p50, p99 = np.quantile(milliseconds, [0.5, 0.99])
        row = {"effort": effort, "recall": np.mean(shares), "p50_ms": p50, "p99_ms": p99}
        rows.append({name: round(float(value), 4) for name, value in row.items()})
    return {"index_bytes": built.bytes, "build_seconds": round(seconds, 2), "asked": rows}


def main() -> None:
    """Build, ask, write reports/benchmarks/ann.json and ann.png."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--k", type=int, default=300)
    parser.add_argument("--items", type=int, default=1_000_000, help="of the larger catalogue")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=42)
    given = parser.parse_args()
    judge = Judge.of(Dataset.load(Path("artifacts/data")), SPLIT, "test").sample(given.queries, given.seed)
    (folder,) = (Path("artifacts") / SPLIT).glob("**/test/two_tower")
    towers = TwoTowerRecall.load(folder)
    real = towers.item_vectors[towers.item_vectors.any(axis=1)]
    queries = towers.user_vectors(judge.fold.requests(judge.rows))
    report: dict[str, Any] = {"k": given.k, "queries": len(queries), "catalogues": {}}
    catalogues = {"movielens-1m": real, "one million": crowded(real, given.items, given.seed)}
    with threadpool_limits(1):
        for name, vectors in catalogues.items():
            exact = asked(Search.of(vectors, np.zeros(0, np.int64)), queries, given.k)[0]
            kinds = {
                kind: measured(kind, vectors, queries, exact) for kind in tqdm(get_args(Kind), desc=name)
            }
            n, d = vectors.shape
            size = {"items": n, "dimensions": d, "vector_bytes": vectors.nbytes}
            report["catalogues"][name] = {**size, "kinds": kinds}
    write_json(REPORT, report)
    plots.save(figure(report), REPORT.with_suffix(".png"))
    print(REPORT.read_text())


def figure(report: dict[str, Any]) -> plots.Picture:
    """Of a report."""
    rows, kept = [], []
    for name, catalogue in report["catalogues"].items():
        for kind in get_args(Kind):
            told = {"catalogue": f"{name}: {catalogue['items']:,} items", "kind": kind}
            rows += [{**told, **row} for row in catalogue["kinds"][kind]["asked"]]
            kept.append({**told, "megabytes": catalogue["kinds"][kind]["index_bytes"] / 1e6})
    return plots.search_kinds(pd.DataFrame(rows), pd.DataFrame(kept), report["k"])


if __name__ == "__main__":
    main()
