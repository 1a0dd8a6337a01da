"""The floor: what is popular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from exchange import Moment, Rank, answer

DAY = 86_400


def popularity(moment: Moment, settings: Mapping[str, Any], epochs: list[int]) -> Iterator[tuple[int, Rank]]:
    """Most interactions in the last ``days`` (None: of all time), the others by those of all time."""
    days = settings["days"]
    since = moment.timestamp.max() - days * DAY if days else moment.timestamp.min() - 1
    lately = np.bincount(moment.item_idx[moment.timestamp > since], minlength=moment.n_items)
    ever = np.bincount(moment.item_idx, minlength=moment.n_items)
    score = np.where(ever > 0, lately + ever / (ever.max() + 1), -np.inf)
    yield 0, moment.rank_by(lambda users: np.broadcast_to(score, (len(users), len(score))))


if __name__ == "__main__":
    answer({"popularity": popularity})
