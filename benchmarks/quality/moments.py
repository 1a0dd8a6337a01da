"""Moments that systems are told of, made of a data set's folds; ties by id, and sampled negatives."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

sys.path[:0] = [str(Path(__file__).parent / "peers")]

from exchange import Moment  # noqa: E402

from recsys.artifacts import write_arrays  # noqa: E402
from recsys.columns import ITEM_ID  # noqa: E402
from recsys.data.attributes import Attribute  # noqa: E402
from recsys.data.dataset import Dataset  # noqa: E402
from recsys.evaluate import Judge  # noqa: E402

NEGATIVES = 99
"""Of NCF's protocol (He et al., WWW 2017)."""


def with_ties_by_id(dataset: Dataset) -> Dataset:
    """The same data with rows of one moment in the order of the items' ids, which can be learned."""
    events = dataset.events
    place = np.argsort(np.argsort(dataset.items[ITEM_ID].to_numpy(dtype=str), kind="stable"))
    order = np.lexsort([place[events.item_idx], events.timestamp])
    return replace(dataset, events=events[order], positive=dataset.positive[order])


def moment_of(judge: Judge, dataset: Dataset, sampled_by: int | None = None) -> Moment:
    """What ``judge``'s users are asked at, with sampled items drawn by the seed ``sampled_by``, if given."""
    past = judge.fold.past
    return Moment(
        user_idx=past.user_idx,
        item_idx=past.item_idx,
        timestamp=past.timestamp,
        value=past.value,
        user_attributes=_codes(dataset.users, _categories(dataset)),
        item_attributes=_codes(dataset.items, [dataset.spec.category] if dataset.spec.category else []),
        users=judge.users,
        now=judge.fold.now[judge.rows],
        sampled=np.zeros((len(judge), 0), dtype=np.int32)
        if sampled_by is None
        else sampled(judge, sampled_by),
    )


def sampled(judge: Judge, seed: int) -> np.ndarray:
    """99 items that each user never meets, drawn alike, and last the one met next: (n, 100) int32.

    Fewer than 99 where somebody has met nearly all. ValueError where somebody meets more or less than one.
    """
    past, future = judge.fold.past, judge.fold.future
    if (judge.n_relevant != 1).any() or len(judge.relevant) < len(judge):
        raise ValueError("sampled negatives stand beside one positive: the protocol is for leave_last_out")
    met = np.zeros((past.n_users, past.n_items), dtype=bool)
    met[past.user_idx, past.item_idx] = met[future.user_idx, future.item_idx] = True
    positive = np.full(past.n_users, -1)
    positive[judge.relevant // past.n_items] = judge.relevant % past.n_items
    known = np.bincount(past.item_idx, minlength=past.n_items) > 0
    never = ~met[judge.users] & known
    random, n = np.random.default_rng(seed), min(NEGATIVES, never.sum(axis=1).min())
    drawn = [random.choice(np.flatnonzero(row), n, replace=False) for row in never]
    return np.column_stack([drawn, positive[judge.users]]).astype(np.int32)


def save(moment: Moment, folder: Path) -> Path:
    """Write the moment under the hash of what it holds, unless it is there."""
    digest = hashlib.sha256()
    arrays = {each.name: getattr(moment, each.name) for each in fields(moment)}
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array))
    path = folder / f"{digest.hexdigest()[:16]}.npz"
    if not path.exists():
        write_arrays(path, arrays)
    return path


def _categories(dataset: Dataset) -> list[str]:
    kinds = dataset.spec.attributes("user")
    return [each.name for each in kinds if isinstance(each, Attribute) and each.kind == "category"]


def _codes(table: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Codes (rows, names) int64 of attributes, from 1 on, 0 where nothing is told; the first of several."""
    firsts = [
        table[name].map(lambda value: (value or [None])[0] if isinstance(value, list) else value)
        for name in names
    ]
    codes = [pd.factorize(first.astype("string"))[0] + 1 for first in firsts]
    return np.column_stack(codes) if codes else np.zeros((len(table), 0), dtype=np.int64)
