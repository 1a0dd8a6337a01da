"""Co-occurrence tables on Apache Spark: functions of `recsys.recall.cooccurrence`, and the same tables.

A table's rows are dealt out to blocks, and a block is sent what its sums are made of. There the same kernels
add it up in the same order, so ids and scores are the same bits. The interactions and the finished table,
small beside the pairs, are held by the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as sql

from recsys.recall import cooccurrence
from recsys.recall.cooccurrence import Sequences, Similarity
from recsys.spark import flat, frame, lists, session
from recsys.types import PAD

Table = tuple[np.ndarray, np.ndarray]
"""Rows by row, the most similar first, and their similarities."""
PAIRS = 2e8
"""In a block, about: a second or two of one core."""
FOUND = "row int, best array<int>, scores array<float>"


def weighed_by_middle(
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    similarity: Similarity,
    k: int,
) -> Table:
    """As `cooccurrence.weighed_by_middle`."""
    starts, ends, members = second

    def table(block: Block) -> Table:
        back = (block.offsets[:-1], block.offsets[1:], block.members)
        return cooccurrence.weighed_by_middle(block.first, block.weight, back, similarity, k, block.rows)

    lengths = ends - starts
    places = np.repeat(starts - np.append(0, lengths.cumsum()[:-1]), lengths) + np.arange(lengths.sum())
    return _in_blocks(table, first, weight, np.append(0, lengths.cumsum()), members[places], None, k)


def weighed_by_distance(
    sequences: Sequences,
    weight: np.ndarray,
    time_decay: float,
    step_decay: float,
    backward: float,
    similarity: Similarity,
    k: int,
) -> Table:
    """As `cooccurrence.weighed_by_distance`."""
    how = (time_decay, step_decay, backward, similarity, k)
    return _of_sequences(
        lambda block, own: cooccurrence.weighed_by_distance(own, block.weight, *how, block.rows),
        sequences.users_by_item,
        weight,
        sequences,
        k,
    )


def weighed_by_pairs(
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    sequences: Sequences,
    smoothing: float,
    similarity: Similarity,
    k: int,
) -> Table:
    """As `cooccurrence.weighed_by_pairs`."""
    how = (smoothing, similarity, k)
    return _of_sequences(
        lambda block, own: cooccurrence.weighed_by_pairs(block.first, block.weight, own, *how, block.rows),
        first,
        weight,
        sequences,
        k,
    )


@dataclass(frozen=True)
class Block:
    """Some ``rows`` (m,) of a table, and all that their sums are made of.

    ``first`` (offsets of all rows, middles) leads from these rows to middles, which are numbered within the
    block in their order; middle ``i`` weighs ``weight[i]`` and has the slice ``offsets[i]:offsets[i + 1]`` of
    ``members`` and ``timestamps``.
    """

    rows: np.ndarray
    first: tuple[np.ndarray, np.ndarray]
    weight: np.ndarray
    offsets: np.ndarray
    members: np.ndarray
    timestamps: np.ndarray

    @classmethod
    def of(cls, rows: pa.Table, middles: pa.Table, n_rows: int) -> Block:
        """From what Spark sent, which comes in any order."""
        rows, middles = rows.sort_by("row"), middles.sort_by("middle")
        own = rows["row"].to_numpy()
        ends, asked = flat(rows["middles"])
        lengths = np.zeros(n_rows, dtype=np.int64)
        lengths[own] = np.diff(ends)
        offsets, members = flat(middles["members"])
        return cls(
            rows=own,
            first=(np.append(0, lengths.cumsum()), np.searchsorted(middles["middle"].to_numpy(), asked)),
            weight=middles["weight"].to_numpy(),
            offsets=offsets,
            members=members,
            timestamps=flat(middles["timestamps"])[1],
        )


def _of_sequences(
    table: Callable[[Block, Sequences], Table],
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    sequences: Sequences,
    k: int,
) -> Table:
    """`_in_blocks`, where middles are users: a block has the sequences of its own."""
    n_items, oldest = sequences.n_items, sequences.first  # all of them would be sent with a function

    def made(block: Block) -> Table:
        own = Sequences(block.offsets, block.members, block.timestamps, n_items, oldest)
        return table(block, own)

    met = (sequences.offsets, sequences.items, sequences.timestamps)
    return _in_blocks(made, first, weight, *met, k)


def _in_blocks(
    table: Callable[[Block], Table],
    first: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray,
    offsets: np.ndarray,
    members: np.ndarray,
    timestamps: np.ndarray | None,
    k: int,
) -> Table:
    """Deal out the rows of ``first``, send each block its middles, and put their tables together."""
    n_rows, lengths = len(first[0]) - 1, np.diff(offsets)
    timestamps = np.zeros(len(members), dtype=np.int64) if timestamps is None else timestamps
    n_blocks = max(session().sparkContext.defaultParallelism, round(float(lengths[first[1]].sum()) / PAIRS))
    rows = frame(row=np.arange(n_rows, dtype=np.int32), middles=lists(*first))
    rows = rows.withColumn("block", sql.col("row") % n_blocks)
    middles = frame(
        middle=np.arange(len(lengths), dtype=np.int32),
        weight=weight.astype(np.float32),
        members=lists(offsets, members),
        timestamps=lists(offsets, timestamps),
    )
    wanted = rows.select(sql.col("block").alias("to"), sql.explode("middles").alias("middle")).distinct()

    def made(own: pa.Table, sent: pa.Table) -> pa.Table:
        block = Block.of(own, sent, n_rows)
        best, scores = table(block)
        ends = np.arange(len(best) + 1) * best.shape[1]
        return pa.table(
            {
                "row": pa.array(block.rows, pa.int32()),
                "best": lists(ends, best.ravel()),
                "scores": lists(ends, scores.ravel()),
            }
        )

    sent = wanted.join(middles, "middle").groupBy("to")
    found = rows.groupBy("block").cogroup(sent).applyInArrow(made, FOUND).toArrow()
    k = min(k, max(n_rows - 1, 0))
    best = np.full((n_rows, k), PAD, dtype=np.int32)
    scores = np.zeros((n_rows, k), dtype=np.float32)
    if k:
        order = found["row"].to_numpy()
        best[order] = flat(found["best"])[1].reshape(-1, k)
        scores[order] = flat(found["scores"])[1].reshape(-1, k)
    return best, scores
