"""Requests as the people of a release would send them: who did much asks much."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from load import post

from recsys.catalogue import Catalogue
from recsys.release import RECOMMENDER
from recsys.types import Interactions

K = 20
SIMILAR, EVENTS = 0.05, 0.05
"""Shares of `Traffic.mixed`; what they leave asks for recommendations."""


class Traffic:
    """Draws users by how much they did, items by how much was done with them."""

    def __init__(self, release: Path, seed: int = 0) -> None:
        self.catalogue = Catalogue.load(release / RECOMMENDER / "catalogue")
        self.past = Interactions.load(release / RECOMMENDER / "past.npz")
        self.random = np.random.default_rng(seed)

    def users(self, n: int) -> list[str]:
        drawn = self.random.choice(self.past.user_idx, n)
        ids: list[str] = self.catalogue.users.decode(drawn).tolist()
        return ids

    def items(self, n: int) -> list[str]:
        drawn = self.random.choice(self.past.item_idx, n)
        ids: list[str] = self.catalogue.items.decode(drawn).tolist()
        return ids

    def mixed(self, n: int) -> Iterator[bytes]:
        """``n`` requests: mostly for recommendations, some for similar items, some that tell of events."""
        kinds = self.random.random(n).tolist()
        for kind, user_id, item_id in zip(kinds, self.users(n), self.items(n), strict=True):
            if kind < SIMILAR:
                yield similar_items(item_id)
            elif kind < SIMILAR + EVENTS:
                yield event(user_id, item_id)
            else:
                yield recommend(user_id)


def recommend(user_id: str) -> bytes:
    return _post("/recommend", {"user_id": user_id, "k": K})


def similar_items(item_id: str) -> bytes:
    return _post("/similar_items", {"item_id": item_id, "k": K})


def event(user_id: str, item_id: str) -> bytes:
    return _post("/events", {"user_id": user_id, "events": [{"item_id": item_id}]})


def _post(path: str, body: object) -> bytes:
    return post(path, json.dumps(body).encode())
