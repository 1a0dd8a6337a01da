"""Models of implicit (https://github.com/benfred/implicit)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from exchange import Moment, Rank, answer
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from scipy import sparse
from threadpoolctl import threadpool_limits


def fitted(
    kind: Any, moment: Moment, settings: Mapping[str, Any], epochs: list[int]
) -> Iterator[tuple[int, Rank]]:
    """A model of implicit, which counts how often somebody met an item."""
    ones = np.ones(len(moment.user_idx), dtype=np.float32)
    shape = (moment.n_users, moment.n_items)
    matrix = sparse.csr_matrix((ones, (moment.user_idx, moment.item_idx)), shape=shape)
    threadpool_limits(1, "blas")
    model = kind(**settings)
    model.fit(matrix, show_progress=False)

    def rank(users: np.ndarray, k: int) -> np.ndarray:
        items, scores = model.recommend(users, matrix[users], N=k, filter_already_liked_items=True)
        # What it finds nothing for is filled with what was filtered, far below all others.
        return np.where(scores > -1e30, items, -1)

    yield 0, rank


if __name__ == "__main__":
    answer(
        {
            "cosine": partial(fitted, CosineRecommender),
            "bm25": partial(fitted, BM25Recommender),
            "als": partial(fitted, AlternatingLeastSquares),
            "bpr": partial(fitted, BayesianPersonalizedRanking),
        }
    )
