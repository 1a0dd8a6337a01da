"""Running sums on Apache Spark: those of `recsys.features.statistics`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pyspark.sql import Window
from pyspark.sql import functions as sql

from recsys.spark import frame


def running_sums(
    keys: np.ndarray, timestamps: np.ndarray, measures: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Keys and timestamps, key after key, and of each measure the sums from the key's first row on."""
    rows = frame(key=keys, place=np.arange(len(keys)), timestamp=timestamps, **measures)
    before = Window.partitionBy("key").orderBy("place").rowsBetween(Window.unboundedPreceding, 0)
    sums = {name: sql.sum(rows[name].cast("double")).over(before) for name in measures}
    found = rows.withColumns(sums).sort("key", "place").toArrow()
    return (
        found["key"].to_numpy(),
        found["timestamp"].to_numpy(),
        {name: found[name].to_numpy() for name in measures},
    )
