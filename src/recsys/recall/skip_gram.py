"""Skip-gram with negative sampling: what stands near in sequences lies near in a space."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

LONGEST = 10_000
"""Items that gensim reads of one sequence; what is longer is cut into pieces."""


def skip_gram(
    sequences: Iterable[np.ndarray],
    n_items: int,
    *,
    embedding_dim: int,
    window: int,
    negatives: int,
    exponent: float,
    subsample: float,
    epochs: int,
    learning_rate: float,
    seed: int,
) -> np.ndarray:
    """Return item vectors (n_items, embedding_dim) float32, learned by gensim from sequences of row numbers.

    An item is to tell those up to ``window`` places around it from ``negatives``, drawn by frequency to the
    power of ``exponent``; items of a larger share than ``subsample`` are skipped now and then (Mikolov et
    al., NIPS 2013). Zeros for items that no sequence holds. The same seed gives the same vectors.
    """
    from gensim.models import Word2Vec

    vectors = np.zeros((n_items, embedding_dim), dtype=np.float32)
    pieces = [
        each[start : start + LONGEST].tolist() for each in sequences for start in range(0, len(each), LONGEST)
    ]
    if not pieces:
        return vectors
    model = Word2Vec(
        sentences=pieces,
        vector_size=embedding_dim,
        window=window,
        negative=negatives,
        ns_exponent=exponent,
        sample=subsample,
        epochs=epochs,
        alpha=learning_rate,
        sg=1,
        min_count=1,
        seed=seed,
        workers=1,  # more would write over each other's sums
    )
    vectors[model.wv.index_to_key] = model.wv.vectors
    return vectors
