"""Figures of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from recsys.plots.style import (
    COLOURS,
    GREY,
    SPARE,
    TAG,
    Picture,
    panels,
    styled,
)


@styled
def histogram(values: np.ndarray, label: str, title: str, bins: int = 50) -> Picture:
    """How often each size occurs."""
    figure, (axis,) = panels(title)
    axis.hist(values, bins=bins, color=COLOURS["item_cf"], edgecolor="white", linewidth=0.4)
    axis.axvline(np.median(values), color=COLOURS["ranked"], label=f"median {np.median(values):,.3g}")
    axis.set(xlabel=label, ylabel="count")
    axis.legend()
    return figure


@styled
def long_tail(
    counts: Mapping[str, np.ndarray], title: str = "How uneven are activity and popularity?"
) -> Picture:
    """Interactions of each user, each item: by rank (log, log) and as Lorenz curves with Gini's number."""
    figure, (ranks, lorenz) = panels(title, 2, width=9.5)
    palette = dict(zip(counts, (COLOURS["ranked"], COLOURS["item_cf"], *SPARE), strict=False))
    for name, count in counts.items():
        ordered = np.sort(count)
        ranks.plot(
            np.arange(1, len(count) + 1), np.maximum(ordered[::-1], 0.5), color=palette[name], label=name
        )
        share = np.concatenate([[0], ordered.cumsum() / ordered.sum()])
        at = np.linspace(0, 1, len(share))
        gini = 1 - 2 * np.trapezoid(share, at)
        lorenz.plot(at, share, color=palette[name], label=f"{name}: Gini {gini:.2f}")
    lorenz.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    ranks.set(xscale="log", yscale="log", xlabel="rank", ylabel="interactions", title="by rank")
    lorenz.set(xlabel="share of them, least first", ylabel="share of interactions", title="Lorenz curve")
    lorenz.xaxis.set_major_formatter(PercentFormatter(1))
    lorenz.yaxis.set_major_formatter(PercentFormatter(1))
    ranks.legend()
    lorenz.legend()
    return figure


@styled
def timeline(
    timestamps: np.ndarray, cuts: Mapping[str, int], title: str = "When did it happen, and where is it cut?"
) -> Picture:
    """Interactions over time (s), with a line at the start of each part of a split."""
    figure, (axis,) = panels(title, width=8.5)
    moments = pd.to_datetime(timestamps, unit="s").to_numpy()
    axis.hist(moments, bins=120, color=COLOURS["item_cf"])
    axis.set(ylabel="interactions", xlim=(moments.min(), moments.max()))
    top = axis.get_ylim()[1]
    for place, (name, moment) in enumerate(cuts.items()):
        at: Any = pd.Timestamp(moment, unit="s")  # matplotlib's types know no dates
        axis.axvline(at, color=COLOURS["ranked"], linestyle="--", linewidth=1.2)
        # Parts can begin close to each other: their names go down in steps.
        axis.annotate(
            f"{name} →",
            (at, top * (0.95 - 0.08 * place)),
            (4, 0),
            textcoords="offset points",
            va="center",
            bbox=TAG,
        )
    return figure
