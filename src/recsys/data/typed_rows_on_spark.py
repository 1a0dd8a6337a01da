"""Parts of files read and typed by Apache Spark, a task a file: those of `recsys.data.typed_rows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyspark.sql import types as spark

from recsys.data import typed_rows
from recsys.data.report import DataError
from recsys.data.source import parts
from recsys.data.spec import ImpressionFile, InteractionFile
from recsys.data.typed_rows import BAD, CODES, CONTEXT, COUNTS, FEEDBACK, KNOWN, ODD, TIME, Arrays, Events
from recsys.spark import frame

FILE, PLACE, ERROR = "file", "place", "error"
"""Of a part: the number of its file, where it stands in it, and why it could not be read."""


def read(
    folder: Path, names: Sequence[str], file: Events, columns: Mapping[str, str]
) -> Iterator[tuple[int, Arrays]]:
    """As `Reader` says; DataError as the first bad file raises it."""
    schema = _schema(file)
    arrow = {field.name: _arrow(field.dataType) for field in schema}

    def read_files(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number, name in zip(batch[FILE].to_pylist(), batch["name"].to_pylist(), strict=True):
                for row in _rows_of(folder, name, file, columns):
                    told = {**dict.fromkeys(arrow), FILE: number, **row}
                    yield pa.record_batch({key: pa.array([told[key]], arrow[key]) for key in arrow})

    asked = frame(file=np.arange(len(names), dtype=np.int32), name=pa.array(names))
    found = asked.repartition(len(names), FILE).mapInArrow(read_files, schema).toArrow()
    for row in found.sort_by([(FILE, "ascending"), (PLACE, "ascending")]).to_batches(max_chunksize=1):
        if (error := row[ERROR][0].as_py()) is not None:
            raise DataError(error)
        yield (
            row[FILE][0].as_py(),
            {
                name: row[name][0].values.to_numpy(zero_copy_only=False)
                for name in arrow
                if name not in (FILE, PLACE, ERROR)
            },
        )


def _rows_of(
    folder: Path, name: str, file: Events, columns: Mapping[str, str]
) -> Iterator[dict[str, object]]:
    """A row of lists for each part of a file, or for what is wrong with it."""
    place = 0
    try:
        for cells in parts(folder, name, file, columns):
            yield {PLACE: place, **typed_rows.typed(cells, file)}
            place += 1
    except DataError as error:
        yield {PLACE: place, ERROR: str(error)}


def _schema(file: Events) -> spark.StructType:
    lists: dict[str, spark.DataType] = {}
    for side in typed_rows.id_columns(file):
        lists |= {side + CODES: spark.IntegerType(), side + KNOWN: spark.StringType()}
    lists |= {COUNTS: spark.BooleanType()} if isinstance(file, ImpressionFile) else _told(file)
    fields: dict[str, spark.DataType] = dict.fromkeys((FILE, PLACE), spark.IntegerType())
    fields[ERROR] = spark.StringType()
    fields |= {name: spark.ArrayType(kind) for name, kind in lists.items()}
    return spark.StructType([spark.StructField(name, kind) for name, kind in fields.items()])


def _told(file: InteractionFile) -> dict[str, spark.DataType]:
    lists: dict[str, spark.DataType] = {}
    if file.columns.timestamp is not None:
        lists |= {TIME: spark.LongType(), TIME + BAD: spark.BooleanType(), TIME + ODD: spark.StringType()}
    lists |= {FEEDBACK + name: spark.DoubleType() for name in file.feedback}
    for name, column in file.columns.context.items():
        kind = spark.DoubleType() if column.type == "number" else spark.StringType()
        lists |= {CONTEXT + name: kind, CONTEXT + name + BAD: spark.BooleanType()}
    return lists


def _arrow(kind: spark.DataType) -> pa.DataType:
    if isinstance(kind, spark.ArrayType):
        return pa.list_(_arrow(kind.elementType))
    plain = {"integer": pa.int32(), "long": pa.int64(), "double": pa.float64()}
    plain |= {"string": pa.string(), "boolean": pa.bool_()}
    return plain[kind.typeName()]
