"""The figure of the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from recsys.plots.style import COLOURS, GREY, INK, Picture, intervals, names_down, panels, styled, words

METRIC = "ndcg_at_10"
TITLE = "Who recommends best? (peers grey, ours in colour)"
STEPS = ("merged", "ranked", "reranked")
"""Of the whole system: what is drawn of ours beside its best channel."""


@styled
def by_protocol(protocols: Mapping[str, Mapping[str, Any]]) -> Picture:
    """ndcg_at_10 with intervals, the best systems on top, a panel a protocol."""
    tables = {name: best(told["systems"]) for name, told in protocols.items()}
    longest = max(len(rows) for rows in tables.values())
    size = {"width": 1.0 + 5.2 * len(tables), "height": 1.3 + 0.32 * longest}
    figure, axes = panels(TITLE, len(tables), **size)
    for axis, (name, rows) in zip(axes, tables.items(), strict=True):
        shades = [COLOURS["ranked"] if ours else GREY for ours in rows["ours"]]
        at = np.arange(len(rows))
        axis.barh(at, rows["value"], color=shades, height=0.65, alpha=0.8)
        intervals(axis, at, rows, across=True, fmt="none", ecolor=INK)
        for place, (end, value) in enumerate(zip(rows["high"], rows["value"], strict=True)):
            axis.annotate(f"{value:.3f}", (end, place), (6, 0), textcoords="offset points", va="center")
        axis.set(title=name, xlabel=words(METRIC), xlim=(0, rows["high"].max() * 1.15))
        names_down(axis, rows["system"])
    return figure


def best(systems: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """All peers and, of each run of ours, the whole system and its best channel; best first.

    Columns: system, ours, value, low, high.
    """
    rows = [(name, told["ours"], *told["metrics"][METRIC]) for name, told in systems.items()]
    table = pd.DataFrame(rows, columns=["system", "ours", "value", "low", "high"])
    table = table.sort_values("value", ascending=False, kind="stable")
    run, part = (table["system"].str.split(": ").str[place] for place in (0, -1))
    channel = table["ours"] & ~part.isin([*STEPS, "untimed"])
    best_channel = channel & ~run.where(channel).duplicated()
    return table[~table["ours"] | part.isin(STEPS) | best_channel]
