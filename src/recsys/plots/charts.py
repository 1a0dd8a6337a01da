"""Plain charts: bars, stacks, distributions, curves over a setting."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator, PercentFormatter

from recsys.columns import METRIC, VALUE
from recsys.plots.style import COLOURS, GREY, INK, Picture, legend_beside, names_down, panels, styled, words

PARTS = ("#c6dbef", "#6baed6", "#2171b5", COLOURS["ranked"])
"""Early to late, and last in another colour: what is only opened at the end."""


@styled
def bars(frame: pd.DataFrame, title: str, *, percent: Collection[str] = ()) -> Picture:
    """One bar a row, the first on top; a panel a column, those in ``percent`` as percentages."""
    size = {"width": 2.4 + 2.9 * frame.shape[1], "height": 1.2 + 0.28 * len(frame)}
    figure, axes = panels(title, frame.shape[1], sharey=True, **size)
    for axis, name in zip(axes, frame.columns, strict=True):
        axis.barh(np.arange(len(frame)), frame[name], color=COLOURS["item_cf"], height=0.7)
        axis.set_xlabel(words(str(name)))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        if name in percent:
            axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        names_down(axis, frame.index)
    return figure


@styled
def stacked(frame: pd.DataFrame, label: str, title: str) -> Picture:
    """One bar a row, the first on top, made of the columns' numbers; the whole is written at its end."""
    figure, (axis,) = panels(title, height=1.4 + 0.36 * len(frame))
    left = np.zeros(len(frame))
    shades = (COLOURS["item_cf"], COLOURS["two_tower"], GREY)
    for name, shade in zip(frame.columns, shades, strict=False):
        axis.barh(np.arange(len(frame)), frame[name], left=left, color=shade, height=0.65, label=str(name))
        left += frame[name].to_numpy()
    for row, total in enumerate(left):
        axis.annotate(f"{total:,.0f}", (total, row), (5, 0), textcoords="offset points", va="center")
    axis.set(xlabel=label, xlim=(0, left.max() * 1.1))
    names_down(axis, frame.index)
    legend_beside(axis)
    return figure


@styled
def parts_over_time(
    parts: Mapping[str, pd.DataFrame], title: str = "When did it happen, and where is it cut?"
) -> Picture:
    """Interactions over time by the part of a split, a panel a split: rows are moments, columns parts."""
    figure, axes = panels(title, len(parts), width=1.5 + 4.2 * len(parts), sharey=True)
    for axis, (split, counts) in zip(axes, parts.items(), strict=True):
        below = np.zeros(len(counts))
        bins = counts.index.to_series().diff().dropna()
        width: Any = bins.min() if len(bins) else pd.Timedelta(days=1)
        for name, shade in zip(counts.columns, PARTS, strict=False):
            axis.bar(counts.index, counts[name], width, bottom=below, align="edge", color=shade, label=name)
            below += counts[name].to_numpy()
        axis.set(title=split, ylim=(0, below.max() * 1.05))
        axis.tick_params(axis="x", rotation=30)
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.grid(visible=False, axis="x")
    axes[0].set_ylabel("interactions")
    legend_beside(axes[-1])
    return figure


@styled
def boxes(groups: Mapping[str, Mapping[str, np.ndarray]], label: str, title: str) -> Picture:
    """How numbers spread (log axis): a panel an attribute, a box a value; whiskers: percentiles 5 and 95."""
    widths = [len(values) + 1 for values in groups.values()]
    figure, axes = panels(
        title, len(groups), width=min(13.0, 1.5 + 0.6 * sum(widths)), sharey=True, width_ratios=widths
    )
    for axis, (name, values) in zip(axes, groups.items(), strict=True):
        axis.boxplot(
            list(values.values()),
            tick_labels=list(values),
            whis=(5, 95),
            showfliers=False,
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": PARTS[0], "edgecolor": GREY},
            medianprops={"color": COLOURS["ranked"], "linewidth": 2},
            whiskerprops={"color": GREY},
            capprops={"color": GREY},
        )
        axis.set(xlabel=name, yscale="log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.minorticks_off()
        axis.grid(visible=False, axis="x")
    axes[0].set_ylabel(label)
    return figure


@styled
def by_setting(table: pd.DataFrame, setting: str, title: str, *, chosen: float | None = None) -> Picture:
    """Values with intervals over a number that was set (log axis), a panel a metric, a line at ``chosen``.

    Columns: ``setting``, metric, value, low, high.
    """
    every = list(dict.fromkeys(table[METRIC]))
    figure, axes = panels(title, len(every), width=1.2 + 3.4 * len(every), height=3.4)
    ticks = sorted(table[setting].unique())
    for axis, metric in zip(axes, every, strict=True):
        rows = table[table[METRIC] == metric].sort_values(setting)
        axis.plot(rows[setting], rows[VALUE], marker="o", color=COLOURS["item_cf"])
        axis.fill_between(rows[setting], rows["low"], rows["high"], color=COLOURS["item_cf"], alpha=0.15)
        if chosen is not None:
            axis.axvline(chosen, color=INK, linestyle="--", linewidth=1)
        axis.set(xscale="log", xlabel=words(setting), ylabel=words(metric), ylim=(0, None))
        axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.minorticks_off()
    return figure
