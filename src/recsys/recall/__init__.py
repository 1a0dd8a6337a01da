"""Recall channels by name; a new one is one file and one line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from recsys.types import Recall

CHANNELS: dict[str, str] = {
    "popular": "recsys.recall.popular:PopularRecall",
    "item_cf": "recsys.recall.item_cf:ItemCfRecall",
    "user_cf": "recsys.recall.user_cf:UserCfRecall",
    "swing": "recsys.recall.swing:SwingRecall",
    "mf": "recsys.recall.mf:MfRecall",
    "two_tower": "recsys.recall.two_tower:TwoTowerRecall",
    "cluster": "recsys.recall.cluster:ClusterRecall",
    "item2vec": "recsys.recall.item2vec:Item2VecRecall",
    "graph": "recsys.recall.graph:GraphRecall",
    "content": "recsys.recall.content:ContentRecall",
    "fresh": "recsys.recall.fresh:FreshRecall",
}


def channel(name: str) -> type[Recall]:
    """Class of the channel called ``name``; imports no other channel's module, so no torch for popular."""
    try:
        module, _, attribute = CHANNELS[name].partition(":")
    except KeyError:
        raise ValueError(f"no recall channel is called {name!r}; there are {', '.join(CHANNELS)}") from None
    found: type[Recall] = getattr(import_module(module), attribute)
    return found


def load_fold(artifacts: Path, fold: str) -> dict[str, Recall]:
    """Channels that any stage left under ``artifacts/<stage>/<fold>/<channel>``, in the order of CHANNELS."""
    found = {path.name: path for path in sorted(artifacts.glob(f"*/{fold}/*/"))}
    return {name: channel(name).load(found[name]) for name in CHANNELS if name in found}
