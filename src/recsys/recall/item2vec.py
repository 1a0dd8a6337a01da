"""item2vec: an item is known by those that people meet around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.recall.skip_gram_recall import SkipGramRecall
from recsys.types import Interactions


@dataclass(kw_only=True, eq=False)
class Item2VecRecall(SkipGramRecall):
    """Skip-gram on users' sequences, which are read as sentences (Barkan & Koenigstein, MLSP 2016).

    The paper answers by cosine to the items' own vectors; here `SkipGramRecall` does. An item that train has
    not met has no vector.
    """

    name: ClassVar[str] = "item2vec"

    def _sentences(self, train: Interactions) -> Iterable[np.ndarray]:
        return np.split(train.item_idx[train.by_user], train.offsets[1:-1])
