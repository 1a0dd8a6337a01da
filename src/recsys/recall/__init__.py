"""Recall channels by name; a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from pathlib import Path

from recsys.artifacts import ArtifactError
from recsys.types import Recall

CHANNELS: dict[str, str] = {
    "popular": "recsys.recall.popular:PopularRecall",
    "again": "recsys.recall.again:AgainRecall",
    "item_cf": "recsys.recall.item_cf:ItemCfRecall",
    "user_cf": "recsys.recall.user_cf:UserCfRecall",
    "swing": "recsys.recall.swing:SwingRecall",
    "mf": "recsys.recall.mf:MfRecall",
    "fm": "recsys.recall.fm:FmRecall",
    "two_tower": "recsys.recall.two_tower:TwoTowerRecall",
    "cluster": "recsys.recall.cluster:ClusterRecall",
    "sequence": "recsys.recall.sequence:SequenceRecall",
    "youtube_dnn": "recsys.recall.youtube_dnn:YoutubeDnnRecall",
    "mind": "recsys.recall.mind:MindRecall",
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


def load_fold(fitted: Path, fold: str, names: Collection[str]) -> dict[str, Recall]:
    """Load channels ``names`` that stages left in ``fitted/<stage>/<fold>/<channel>``, in CHANNELS' order."""
    found = {path.name: path for path in sorted(fitted.glob(f"*/{fold}/*/"))}
    if missing := [name for name in names if name not in found]:
        raise ArtifactError(
            f"{fitted}: no stage left {', '.join(missing)} there; see `optional` in params.yaml"
        )
    return {name: channel(name).load(found[name]) for name in CHANNELS if name in names}
