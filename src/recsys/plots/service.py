"""Figures of the service at work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from recsys.plots.style import COLOURS, GREY, INK, TAG, Picture, panels, styled

OURS = (COLOURS["item_cf"], COLOURS["ranked"], COLOURS["mf"], *COLOURS.values())
FLOORS = (GREY, INK)
"""Colours of what is measured, and of what it is measured against, in the order in which they come."""
NAME_HEIGHT, NAME_WIDTH = 0.055, 0.2
"""Shares of an axis that a name takes, about."""
QUANTILES: dict[str, Any] = {"p50_ms": "-", "p99_ms": "--"}


@styled
def waiting_by_load(
    loads: pd.DataFrame,
    groups: Mapping[str, Collection[str]],
    floors: Collection[str] = (),
    title: str = "How long do answers take under load?",
) -> Picture:
    """Milliseconds an answer takes (log) over requests per second: a panel a group, two lines a server.

    Columns: server, requests_per_second, p50_ms (solid), p99_ms (dashed). ``floors`` are drawn grey.
    """
    figure, axes = panels(title, len(groups), width=9.5, height=4.2, sharey=True)
    low, high = loads["p50_ms"].min(), loads["p99_ms"].max()
    axes[0].set(yscale="log", ylabel="milliseconds", ylim=(low / 1.5, high * (high / low) ** 0.2))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_locator(NullLocator())
    others = [name for name in loads["server"].unique() if name not in floors]
    palette = dict(zip([*floors, *others], [*FLOORS[: len(floors)], *OURS], strict=False))
    for axis, (group, names) in zip(axes, groups.items(), strict=True):
        for name in names:
            rows = loads[loads["server"] == name]
            for quantile, line in QUANTILES.items():
                at = rows["requests_per_second"]
                axis.plot(at, rows[quantile], line, color=palette[name], marker="o", markersize=3.5)
        axis.set(title=group, xlabel="requests per second", xlim=(0, None))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        _name_tops(axis, loads[loads["server"].isin(names)], palette)
    styles = [Line2D([], [], color=GREY, linestyle=line) for line in QUANTILES.values()]
    axes[0].legend(styles, [name.removesuffix("_ms") for name in QUANTILES], loc="upper left")
    return figure


@styled
def memory_over_requests(
    samples: pd.DataFrame, trend: np.ndarray, title: str = "Does the worker grow?"
) -> Picture:
    """Resident megabytes over requests answered, and the line ``trend`` (polynomial) where it was fitted.

    Columns: requests, rss_mb. The trend is that of the second half.
    """
    figure, (axis,) = panels(title)
    axis.plot(samples["requests"], samples["rss_mb"], color=COLOURS["item_cf"])
    ends = np.array([0.5, 1.0]) * samples["requests"].max()
    axis.plot(ends, np.polyval(trend, ends), color=COLOURS["ranked"], linestyle="--")
    axis.annotate(
        f"{trend[0] * 1e5:+.1f} MB per 100,000 requests",
        (ends[1], np.polyval(trend, ends[1])),
        (0, -12),
        textcoords="offset points",
        ha="right",
        va="top",
        color=COLOURS["ranked"],
    )
    axis.set(xlabel="requests", ylabel="resident megabytes", xlim=(0, None))
    axis.set_ylim(0, samples["rss_mb"].max() * 1.15)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _name_tops(axis: Axes, loads: pd.DataFrame, palette: Mapping[str, str]) -> None:
    """Write each server's name above its highest point, and above a name that stands there already."""
    bottom, top = axis.get_ylim()
    step, near = (top / bottom) ** NAME_HEIGHT, NAME_WIDTH * axis.get_xlim()[1]
    highest = loads.loc[loads.groupby("server")["p99_ms"].idxmax()].sort_values("p99_ms")
    written: list[tuple[float, float]] = []
    for name, x, y in highest[["server", "requests_per_second", "p99_ms"]].itertuples(index=False):
        y = max([y * step**0.6, *(other * step for at, other in written if abs(at - x) < near)])
        axis.text(x, y, name, color=palette[name], fontweight="bold", ha="right", bbox=TAG)
        written.append((x, y))
