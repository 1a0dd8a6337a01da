"""Everyone's list in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow.csv import CSVWriter
from pyarrow.parquet import ParquetWriter
from tqdm import tqdm

from recsys import columns
from recsys.artifacts import replacing
from recsys.pipeline import Recommender, frame

USERS = 256
"""Users in a batch: bounds memory, changes no list."""
SCHEMA = pa.schema(
    [
        (columns.USER_ID, pa.string()),
        (columns.ITEM_ID, pa.string()),
        (columns.RANK, pa.int32()),
        (columns.SCORE, pa.float32()),
    ]
)


def export(recommender: Recommender, k: int, now: int | None, out: Path) -> None:
    """Write ``k`` items for each user, one row an item; ``out`` appears whole or not at all."""
    everyone = np.arange(len(recommender.catalogue.users))
    with (
        replacing(out) as temporary,
        _writer(temporary) as writer,
        tqdm(total=len(everyone), unit="users") as bar,
    ):
        for start in range(0, len(everyone), USERS):
            users = everyone[start : start + USERS]
            lists = recommender.recommend(recommender.requests(users, now), k)
            rows = frame(recommender, lists)[SCHEMA.names]
            writer.write_table(pa.Table.from_pandas(rows, SCHEMA, preserve_index=False))
            bar.update(len(users))


def _writer(path: Path) -> CSVWriter | ParquetWriter:
    if path.suffix == ".csv":
        return CSVWriter(path, SCHEMA)
    return ParquetWriter(path, SCHEMA, compression="zstd")
