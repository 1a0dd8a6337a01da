"""Files as a publisher would have them: articles, and what was shown to whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from recsys.artifacts import replacing_folder
from recsys.synthetic.world import AT_ONCE, DEVICES, Shown, World

LONGEST = 5000
"""Words of an article."""


def write(world: World, n: int, folder: Path, as_parquet: bool) -> None:
    """``articles`` and ``clicks``, ``n`` rows of what was shown, as CSV or as Parquet in parts."""
    with replacing_folder(folder) as new:
        if as_parquet:
            articles(world).to_parquet(new / "articles.parquet", index=False)
            (new / "clicks").mkdir()
        else:
            articles(world).to_csv(new / "articles.csv", index=False)
        parts = enumerate(world.events(n))
        for number, shown in tqdm(parts, total=-(-n // AT_ONCE), unit="part", disable=n <= AT_ONCE):
            table = clicks(world, shown)
            if as_parquet:
                table.to_parquet(new / "clicks" / f"{number:05d}.parquet", index=False)
            else:
                table.to_csv(new / "clicks.csv", mode="a", header=number == 0, index=False)


def articles(world: World) -> pd.DataFrame:
    """Title, category, moment of appearance and number of words of every article."""
    number = np.arange(len(world.topics))
    words = np.random.default_rng([world.seed, 1]).lognormal(6, 0.5, len(number))
    return pd.DataFrame(
        {
            "article_id": _named("a", number),
            "title": [
                f"Topic {topic}, story {each}" for topic, each in zip(world.topics, number, strict=True)
            ],
            "category": _named("topic ", world.topics),
            "created_at": _moments(world.born),
            "words": np.minimum(words, LONGEST).astype(int),
        }
    )


def clicks(world: World, shown: Shown) -> pd.DataFrame:
    """What a page logs: who was shown what, when and where, and what happened."""
    return pd.DataFrame(
        {
            "user_id": _named("u", shown.users),
            "article_id": _named("a", shown.items),
            "shown_at": _moments(shown.timestamps),
            "device": np.array(DEVICES, dtype=object)[shown.devices],
            "region": _named("region ", world.regions[shown.users]),
            "clicked": shown.clicked.astype(int),
            "seconds": shown.seconds.round(1),
        }
    )


def _named(prefix: str, numbers: np.ndarray) -> np.ndarray:
    return np.char.add(prefix, numbers.astype(np.str_)).astype(object)


def _moments(seconds: np.ndarray) -> np.ndarray:
    """ISO 8601."""
    return np.char.add(seconds.astype("datetime64[s]").astype(np.str_), "Z").astype(object)
