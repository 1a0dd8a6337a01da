"""Graph embeddings: items met in a row are linked, and walks along the links are read as sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.recall.skip_gram_recall import SkipGramRecall
from recsys.types import Engine, Interactions


@dataclass(kw_only=True, eq=False)
class GraphRecall(SkipGramRecall):
    """Skip-gram on walks: items come near that were met beside the same third one, though nobody met both.

    From each item ``walks_per_item`` walks of ``walk_length`` items go along the weighted links of
    `ItemGraph`, with node2vec's ``p`` and ``q``; both 1 are DeepWalk. An item without links has no vector.
    """

    name: ClassVar[str] = "graph"

    p: float = 1.0
    q: float = 1.0
    walks_per_item: int = 10
    walk_length: int = 40
    epochs: int = 1
    engine: Engine = "local"

    def __post_init__(self) -> None:
        if self.p <= 0 or self.q <= 0:
            raise ValueError(f"graph: p {self.p} and q {self.q} must be above 0")

    def _sentences(self, train: Interactions) -> Iterable[np.ndarray]:
        # Here, because answering needs no walks.
        from recsys.recall.walks import ItemGraph

        how = (self.walks_per_item, self.walk_length, self.p, self.q, self.seed)
        return ItemGraph.of(train, self.engine).walks(*how, self.engine)
