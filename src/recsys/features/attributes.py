"""Users' and items' attributes, encoded once for all who look them up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recsys.features.spec import Column, FeatureSpec, columns_of

if TYPE_CHECKING:
    import pandas as pd

    from recsys.data.dataset import Dataset


@dataclass(frozen=True)
class Attributes:
    """What is told of users and items: row i of the frames is user_idx and item_idx i.

    ``columns`` are of the entities user, item and request; a request's read its moment, ``timestamp``.
    """

    users: pd.DataFrame
    items: pd.DataFrame
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> Attributes:
        """All attributes that the data set declares."""
        return cls(dataset.users, dataset.items, columns_of(dataset.spec))


def encoded(spec: FeatureSpec, frame: pd.DataFrame, entity: str) -> dict[str, np.ndarray]:
    """Encode every row of ``frame``, and after them one of which nothing is told: PAD (-1) finds it."""
    return spec.encode(frame.reset_index(drop=True).reindex(range(len(frame) + 1)), entity)
