"""Models of RecTools (https://github.com/MTSWebServices/RecTools)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from exchange import PAD, Moment, Rank, answer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, SASRecModel


def told(moment: Moment) -> Dataset:
    """Rows are in the order of time, ties drawn already: a row's number is its time."""
    return Dataset.construct(
        pd.DataFrame(
            {
                Columns.User: moment.user_idx,
                Columns.Item: moment.item_idx,
                Columns.Weight: 1.0,
                Columns.Datetime: pd.to_datetime(np.arange(len(moment.user_idx)), unit="s"),
            }
        )
    )


def rank_by(model: Any, dataset: Dataset, moment: Moment) -> Rank:
    def rank(users: np.ndarray, k: int) -> np.ndarray:
        found = model.recommend(
            users, dataset, k=k, filter_viewed=True, add_rank_col=True, on_unsupported_targets="ignore"
        )
        row = np.full(moment.n_users, PAD)
        row[users] = np.arange(len(users))
        items = np.full((len(users), k), PAD)
        items[row[found[Columns.User]], found[Columns.Rank] - 1] = found[Columns.Item]
        return items

    return rank


def ease(moment: Moment, settings: Mapping[str, Any], epochs: list[int]) -> Iterator[tuple[int, Rank]]:
    dataset = told(moment)
    yield 0, rank_by(EASEModel(recommend_n_threads=1, **settings).fit(dataset), dataset, moment)


def sasrec(moment: Moment, settings: Mapping[str, Any], epochs: list[int]) -> Iterator[tuple[int, Rank]]:
    import torch
    from pytorch_lightning import seed_everything

    torch.set_num_threads(1)
    settings = dict(settings)
    seed_everything(settings.pop("seed"), verbose=False)
    dataset = told(moment)
    model = SASRecModel(deterministic=True, recommend_torch_device="cpu", **settings)
    done = 0
    for goal in epochs:
        model.fit_partial(dataset, min_epochs=goal - done, max_epochs=goal - done)
        done = goal
        yield done, rank_by(model, dataset, moment)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # of what the libraries beneath will change one day
    answer({"ease": ease, "sasrec": sasrec})
