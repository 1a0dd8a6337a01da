"""What towers read of a request and of an item: one way for training and serving, numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from recsys.artifacts import read_arrays, read_json, write_arrays, write_json
from recsys.columns import TIMESTAMP
from recsys.features.attributes import Attributes, encoded
from recsys.features.history import HISTORY_IDS, HistoryEncoder
from recsys.features.spec import REQUEST, FeatureSpec
from recsys.features.values import Frame
from recsys.types import PAD, Requests

if TYPE_CHECKING:
    from recsys.data.shards import Train

Arrays = Mapping[str, np.ndarray]
ROWS = "rows"


@dataclass(frozen=True)
class TowerInputs:
    """Fitted encoders, and users' and items' attributes encoded once; their last row is the unknown's.

    ``rows`` (n_items,) int64 are rows of the id embedding: 0 for an item that train has not met. With
    ``buckets`` items share so many of them, drawn for each by chance.
    """

    history: HistoryEncoder
    spec: FeatureSpec
    users: Arrays
    items: Arrays
    rows: np.ndarray

    @classmethod
    def fit(
        cls,
        train: Train,
        attributes: Attributes | None,
        history_length: int,
        buckets: int | None = None,
    ) -> Self:
        """Fit on the users, items and moments of ``train`` alone; encode all that ``attributes`` hold.

        Moments, values and context of shards are told by one of them.
        """
        met, some = train.item_counts > 0, train.sample()
        history = HistoryEncoder.fit(some, history_length)
        own = np.arange(train.n_items)
        if buckets is not None:
            own = np.random.default_rng(buckets).integers(buckets, size=train.n_items)
        rows = np.where(met, own + 1, 0)
        if attributes is None:
            return cls(history, FeatureSpec(()), {}, {}, rows)
        frames: dict[str, Frame] = {
            "user": attributes.users.iloc[np.flatnonzero(train.user_counts)],
            "item": attributes.items.iloc[np.flatnonzero(met)],
            REQUEST: {TIMESTAMP: some.timestamp, **some.context},
        }
        spec = FeatureSpec.fit(frames, attributes.columns)
        users, items = encoded(spec, attributes.users, "user"), encoded(spec, attributes.items, "item")
        return cls(history, spec, users, items, rows)

    def refreshed(self, train: Train, attributes: Attributes | None) -> Self:
        """The same encoders for the users and items of today, of which ``train`` may have met more."""
        met = train.item_counts > 0
        rows = np.where(met, np.arange(1, train.n_items + 1), 0)
        if attributes is None:
            return replace(self, rows=rows)
        users, items = (
            encoded(self.spec, frame, entity)
            for frame, entity in ((attributes.users, "user"), (attributes.items, "item"))
        )
        return replace(self, users=users, items=items, rows=rows)

    def of_requests(self, requests: Requests) -> dict[str, np.ndarray]:
        """Encode the history (n, length), its items as rows of the id embedding, and user and request."""
        arrays = self.history.encode(requests.history, requests.now)
        ids = arrays[HISTORY_IDS]
        arrays[HISTORY_IDS] = np.where(ids == PAD, 0, self.rows[ids])
        # PAD is -1: the last row.
        users = {name: values[requests.users] for name, values in self.users.items()}
        return arrays | users | self.spec.encode_requests(requests, {})

    def of_items(self, items: np.ndarray) -> dict[str, np.ndarray]:
        """Pick the columns of ``items`` (n,)."""
        return {name: values[items] for name, values in self.items.items()}

    def known(self, users: np.ndarray, inputs: Arrays) -> np.ndarray:
        """Tell of whom there is anything in `of_requests`: a history, or attributes of a known user."""
        known: np.ndarray = inputs[HISTORY_IDS].max(axis=1) > 0
        if self.users:
            known |= users != PAD
        return known

    def save(self, folder: Path) -> None:
        write_json(folder / "inputs.json", {"history": self.history.to_json(), "spec": self.spec.to_json()})
        write_arrays(
            folder / "inputs.npz",
            {
                ROWS: self.rows,
                **{f"user.{name}": values for name, values in self.users.items()},
                **{f"item.{name}": values for name, values in self.items.items()},
            },
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        fitted = read_json(folder / "inputs.json")
        arrays = read_arrays(folder / "inputs.npz")
        return cls(
            history=HistoryEncoder.from_json(fitted["history"]),
            spec=FeatureSpec.from_json(fitted["spec"]),
            users=_under("user.", arrays),
            items=_under("item.", arrays),
            rows=arrays[ROWS],
        )


def _under(prefix: str, arrays: Arrays) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}
