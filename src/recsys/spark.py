"""Apache Spark where `engine: spark` asks for it: one session a process, tables in and out through Arrow."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

MASTER, MEMORY = "SPARK_MASTER", "SPARK_DRIVER_MEMORY"
"""Variables of the environment: where Spark runs (local[*]), and the memory of its driver (4g)."""
OPTIONS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.driver.maxResultSize": "0",
}


class EngineError(Exception):
    """Spark cannot be had here; the message says what is missing."""


def session() -> SparkSession:
    """The one of this process, begun if there is none; EngineError without pyspark or Java."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise EngineError("engine spark needs pyspark: pip install 'recsys[spark]'") from error
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise EngineError("engine spark needs Java 17: apt-get install openjdk-17-jre-headless")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("recsys").master(os.environ.get(MASTER, "local[*]"))
    builder = builder.config("spark.driver.memory", os.environ.get(MEMORY, "4g"))
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    begun = builder.getOrCreate()
    begun.sparkContext.setLogLevel("ERROR")
    return begun


def frame(**columns: np.ndarray | pa.Array) -> DataFrame:
    """A DataFrame of these columns, one value a row."""
    return session().createDataFrame(pa.table({name: pa.array(each) for name, each in columns.items()}))


def lists(offsets: np.ndarray, values: np.ndarray) -> pa.ListArray:
    """A column of lists: row ``i`` has ``values[offsets[i]:offsets[i + 1]]``."""
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of a column of lists."""
    whole = column.combine_chunks()
    ends = np.cumsum(whole.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int64)
    return np.append(0, ends), whole.flatten().to_numpy(zero_copy_only=False)
