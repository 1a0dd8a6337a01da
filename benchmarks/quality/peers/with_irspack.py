"""Models of irspack (https://github.com/tohtsky/irspack)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from exchange import Moment, Rank, answer
from irspack.recommenders import CosineUserKNNRecommender, RP3betaRecommender
from scipy import sparse


def fitted(
    kind: Any, moment: Moment, settings: Mapping[str, Any], epochs: list[int]
) -> Iterator[tuple[int, Rank]]:
    """A model of irspack, on who met what."""
    ones = np.ones(len(moment.user_idx))
    shape = (moment.n_users, moment.n_items)
    matrix = sparse.csr_matrix((ones, (moment.user_idx, moment.item_idx)), shape=shape)
    model = kind(matrix, n_threads=1, **settings).learn()

    yield 0, moment.rank_by(model.get_score)


if __name__ == "__main__":
    answer(
        {
            "rp3beta": partial(fitted, RP3betaRecommender),
            "user_knn": partial(fitted, CosineUserKNNRecommender),
        }
    )
