"""What our own fitted channels, and the whole recommender, recommend: a program like those in peers/.

`python ours.py channel|recommender MOMENT SETTINGS INTO`, where ``folder`` of the settings is what a pipeline
run has saved. Nothing is fitted here, and no answer is timed before kernels are compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parent / "peers")]

from exchange import Moment, Rank, answer  # noqa: E402

from recsys import recall  # noqa: E402
from recsys.pipeline import Recommender  # noqa: E402
from recsys.types import Interactions, Requests  # noqa: E402

SHOWN = 20
"""Length of a re-ranked list, as in notebooks/60_evaluation.ipynb."""


def requests_of(moment: Moment, users: np.ndarray) -> Requests:
    """What ``users`` ask at the moment."""
    past = Interactions(
        user_idx=moment.user_idx,
        item_idx=moment.item_idx,
        timestamp=moment.timestamp,
        value=moment.value,
        labels={},
        n_users=moment.n_users,
        n_items=moment.n_items,
    )
    now = np.zeros(moment.n_users, dtype=np.int64)
    now[moment.users] = moment.now
    return Requests.of(users, past, now[users])


def channel(moment: Moment, settings: Mapping[str, Any], epochs: list[int]) -> Iterator[tuple[str, Rank]]:
    """One recall channel."""
    folder = Path(settings["folder"])
    fitted = recall.channel(folder.name).load(folder)

    def rank(users: np.ndarray, k: int) -> np.ndarray:
        return fitted.recall(requests_of(moment, users), k).items

    rank(moment.users[:2], 10)  # compiles
    yield "channel", rank


def recommender(moment: Moment, settings: Mapping[str, Any], epochs: list[int]) -> Iterator[tuple[str, Rank]]:
    """The whole system, step by step; each goes on from what the one before has made.

    Last it ranks once more and is not told when it is asked, which peers do not know: it is the end of the
    past where all questions come after it, and else the moment of each user's newest event.
    """
    system = Recommender.load(Path(settings["folder"]))
    system.recommend(requests_of(moment, moment.users[:2]), SHOWN)  # compiles
    made: dict[str, Any] = {}

    def merged(users: np.ndarray, k: int) -> np.ndarray:
        made["requests"] = requests_of(moment, users)
        made["merged"] = system.recall(made["requests"])
        return made["merged"].items

    def ranked(users: np.ndarray, k: int) -> np.ndarray:
        made["ranked"] = system.rank(made["requests"], made["merged"])
        return made["ranked"].items

    def reranked(users: np.ndarray, k: int) -> np.ndarray:
        return system.rerank(made["ranked"], SHOWN).items

    def untimed(users: np.ndarray, k: int) -> np.ndarray:
        requests, end = made["requests"], moment.timestamp.max()
        newest = requests.history.last(1)[1][:, 0]
        asked = replace(requests, now=np.where(moment.now.min() >= end, end, newest))
        return system.rank(asked, system.recall(asked)).items

    yield from {"merged": merged, "ranked": ranked, "reranked": reranked, "untimed": untimed}.items()


if __name__ == "__main__":
    answer({"channel": channel, "recommender": recommender})
