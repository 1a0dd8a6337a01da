"""Columns of what a page knew when it asked, as Parquet holds them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def repeated(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers; or few texts of many rows, each of them one object, None where nothing is told."""
    if pa.types.is_floating(column.type):
        return np.asarray(column.to_numpy())
    codes = column.dictionary_encode().unify_dictionaries().combine_chunks()
    words = np.array([*codes.dictionary.to_pylist(), None], dtype=object)
    return np.asarray(words[codes.indices.fill_null(len(words) - 1).to_numpy()])
