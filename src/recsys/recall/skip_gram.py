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
    epochs: int,
    learning_rate: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Learn from sequences of row numbers, by gensim, two vectors of each item: its own, and as a neighbour.

    By the product of its own vector and another's as a neighbour an item is to tell those up to ``window``
    places around it from ``negatives``, drawn by frequency to the power of ``exponent`` (Mikolov et al., NIPS
    2013). With the exponent 1 the product says how much more often than by chance two items are neighbours,
    with 0 how often they are (Levy & Goldberg, NIPS 2014).

    Both (n_items, embedding_dim) float32, zeros for items that no sequence holds. The same seed gives the
    same vectors.
    """
    from gensim.models import Word2Vec

    own, neighbours = np.zeros((2, n_items, embedding_dim), dtype=np.float32)
    pieces = [
        each[start : start + LONGEST].tolist() for each in sequences for start in range(0, len(each), LONGEST)
    ]
    if not pieces:
        return own, neighbours
    model = Word2Vec(
        sentences=pieces,
        vector_size=embedding_dim,
        window=window,
        negative=negatives,
        ns_exponent=exponent,
        sample=0,  # frequent items are what lists are made of: none is skipped
        epochs=epochs,
        alpha=learning_rate,
        sg=1,
        min_count=1,
        seed=seed,
        workers=1,  # more would write over each other's sums
    )
    own[model.wv.index_to_key] = model.wv.vectors
    neighbours[model.wv.index_to_key] = model.syn1neg
    return own, neighbours
