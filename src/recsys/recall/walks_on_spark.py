"""Links of items and walks along them on Apache Spark: the same as those of `recsys.recall.walks`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyspark.sql import Window
from pyspark.sql import functions as sql

from recsys.spark import flat, frame, lists, session
from recsys.types import Interactions

if TYPE_CHECKING:
    from recsys.recall.walks import ItemGraph

PARTS = 4
"""Of the walks, for each core."""


def links(train: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of items that were met one right after the other, either way round, and how often: (n,) each."""
    order = train.by_user
    met = frame(user=train.user_idx[order], item=train.item_idx[order], place=np.arange(len(order)))
    after = sql.lead("item").over(Window.partitionBy("user").orderBy("place"))
    steps = met.select("item", after.alias("next")).where("next != item")
    pair = [sql.least("item", "next").alias("one"), sql.greatest("item", "next").alias("other")]
    found = steps.groupBy(*pair).count().toArrow()
    return found["one"].to_numpy(), found["other"].to_numpy(), found["count"].to_numpy().astype(np.float64)


def walks(
    graph: ItemGraph, starts: np.ndarray, chance: np.ndarray, length: int, p: float, q: float
) -> np.ndarray:
    """What `ItemGraph.walked` gives; the graph is sent to all who walk."""
    context = session().sparkContext
    shared = context.broadcast(graph)

    def walked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            drawn = batch["chance"].to_numpy().view(np.uint64)
            paths = shared.value.walked(batch["start"].to_numpy(), drawn, length, p, q)
            ends = np.arange(len(paths) + 1) * length
            yield pa.record_batch({"walk": batch["walk"], "path": lists(ends, paths.ravel())})

    asked = frame(walk=np.arange(len(starts)), start=starts, chance=chance.view(np.int64))
    parts = asked.repartition(PARTS * context.defaultParallelism)
    found = parts.mapInArrow(walked, "walk long, path array<int>").toArrow().sort_by("walk")
    return flat(found["path"])[1].reshape(-1, length)
