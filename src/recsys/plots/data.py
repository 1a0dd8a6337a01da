"""Figures of a data set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import PercentFormatter

from recsys.plots.style import (
    COLOURS,
    GREY,
    SPARE,
    Picture,
    panels,
    styled,
)


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
