"""Bytes by user, item and interaction: what Redis takes, and what a release's tables do."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import redis
from processes import Redis
from safetensors.numpy import load_file
from traffic import Traffic

from recsys.artifacts import read_arrays
from recsys.lists import LISTS, Lists
from recsys.release import RECOMMENDER
from recsys.store import Event
from recsys.store.redis import RedisStore
from recsys.vocabulary import Vocabulary

USERS, EVENTS = (10_000, 20_000, 40_000), (10, 50)
NOW = 1_700_000_000
IDS = 100_000
"""Ids of a vocabulary whose heap is weighed."""
RAGGED = {
    "item_similar.items": "item",
    "item_similar.similarities": "item",
    "user_similar.items": "user",
    "user_similar.weights": "user",
    "clusters.items": "item",
    "popular.items": "item",
    "popular.scores": "item",
}
"""What entries of these belong to, where their number does not tell."""


def in_redis(release: Path, users: tuple[int, ...] = USERS) -> pd.DataFrame:
    """Bytes that a Redis takes with so many users, each with so many events, or with their lists."""
    items = Traffic(release).items(1000)
    lists = list(Lists.load(release / RECOMMENDER / LISTS).packed())
    with TemporaryDirectory() as folder:
        server = Redis(Path(folder))
        server.start()
        try:
            rows = [
                {"users": n, "events": each, "bytes": filled(server, n, each, items, lists)}
                for n in users
                for each in (0, *EVENTS)
            ]
        finally:
            server.stop()
    return pd.DataFrame(rows)


def filled(server: Redis, users: int, events: int, items: list[str], lists: list[bytes]) -> int:
    """Bytes used by ``events`` of each user; by a list of each user where they are none."""
    client, store = redis.Redis(port=server.port), RedisStore(server.url)
    client.flushall()
    empty = client.info("memory")["used_memory"]
    if events == 0:
        store.write_lists("release", ((user_id(row), each) for row, each in zip(range(users), cycle(lists))))
    else:
        drawn = cycle(items)
        for row in range(users):
            store.append(user_id(row), [Event(item, NOW + row, 4.0) for item in islice(drawn, events)])
    store.close()
    return int(client.info("memory")["used_memory"] - empty)


def user_id(row: int) -> str:
    """As long as the ids of a hundred million."""
    return f"{row:09d}"


def counts(release: Path) -> dict[str, int]:
    """How many users, items and interactions a release has."""
    past = read_arrays(release / RECOMMENDER / "past.npz")
    return {
        "user": int(past["n_users"]),
        "item": int(past["n_items"]),
        "interaction": len(past["user_idx"]),
    }


def tables(release: Path, lengths: Mapping[str, int]) -> pd.DataFrame:
    """Bytes of each table of a release by what its rows belong to, "none" where it does not grow."""
    folder = release / RECOMMENDER
    rows = [
        {"table": path.stem, "unit": unit_of(f"{path.stem}.{name}", array, lengths), "bytes": array.nbytes}
        for path in sorted((*folder.rglob("*.npz"), *folder.rglob("*.safetensors")))
        for name, array in (read_arrays if path.suffix == ".npz" else load_file)(path).items()
    ]
    weighed = pd.DataFrame(rows).groupby(["table", "unit"])["bytes"].sum().reset_index()
    return weighed.assign(bytes_per_unit=weighed["bytes"] / weighed["unit"].map(lengths | {"none": np.inf}))


def unit_of(name: str, array: np.ndarray, lengths: Mapping[str, int]) -> str:
    """What one row of an array belongs to; a padding row may stand at its end."""
    for unit, n in lengths.items():
        if array.shape[:1] in ((n,), (n + 1,)):
            return unit
    return RAGGED.get(name, "none")


def table_slopes(weighed: pd.DataFrame) -> dict[str, float]:
    """Bytes of all tables by unit; those that do not grow are "none"."""
    fixed = weighed.loc[weighed["unit"] == "none", "bytes"].sum()
    return weighed.groupby("unit")["bytes_per_unit"].sum().to_dict() | {"none": int(fixed)}


def redis_slopes(stored: pd.DataFrame) -> dict[str, float]:
    """Bytes of a user who did something, of each event and of a list; how far off they are, as a share."""
    stored = stored.assign(all_events=stored["users"] * stored["events"])
    acted = stored["events"] > 0
    (of_user, of_event), events_error = slopes(stored[acted], ["users", "all_events"])
    (of_list,), lists_error = slopes(stored[~acted], ["users"])
    return {"user": of_user, "event": of_event, "list": of_list, "error": max(events_error, lists_error)}


def slopes(stored: pd.DataFrame, numbers: list[str]) -> tuple[np.ndarray, float]:
    """Bytes of each of ``numbers``, fitted without the most users, and how far off they are for those.

    Least squares of relative differences.
    """
    shares = stored[numbers].div(stored["bytes"], axis=0).to_numpy()
    most = (stored["users"] == stored["users"].max()).to_numpy()
    found = np.linalg.lstsq(shares[~most], np.ones((~most).sum()))[0]
    return found, float(np.abs(shares[most] @ found - 1).max())


def bytes_of_an_id() -> float:
    """Bytes that a worker's own memory takes for one id that it can look up."""
    tracemalloc.start()
    vocabulary = Vocabulary.of(user_id(row) for row in range(IDS))
    vocabulary.row("")
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return taken / IDS
