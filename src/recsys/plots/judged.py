"""Figures of what `recsys.evaluate` says of systems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator, PercentFormatter

from recsys.columns import METRIC, SLICE, SYSTEM, VALUE
from recsys.evaluate import ALL
from recsys.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    Picture,
    bare,
    colours,
    intervals,
    legend_beside,
    names_down,
    panels,
    styled,
    words,
)


@styled
def bars_with_intervals(
    summary: pd.DataFrame, metric: str, baseline: str | None = None, title: str | None = None
) -> Picture:
    """``metric`` of all users by system, best on top, against a line at ``baseline``."""
    rows = summary[(summary[METRIC] == metric) & (summary[SLICE] == ALL)].sort_values(VALUE, ascending=False)
    figure, (axis,) = panels(
        title or f"Which system has the best {words(metric)}?", height=1.2 + 0.36 * len(rows)
    )
    at, palette = np.arange(len(rows)), colours(rows[SYSTEM])
    axis.barh(at, rows[VALUE], color=[palette[name] for name in rows[SYSTEM]], height=0.65, alpha=0.8)
    intervals(axis, at, rows, across=True, fmt="none", ecolor=INK)
    ends = rows["high"].fillna(rows[VALUE])
    for place, (end, value) in enumerate(zip(ends, rows[VALUE], strict=True)):
        axis.annotate(f"{value:.3f}", (end, place), (6, 0), textcoords="offset points", va="center")
    if baseline is not None:
        axis.axvline(
            rows.loc[rows[SYSTEM] == baseline, VALUE].iloc[0], color=INK, linestyle="--", linewidth=1
        )
    axis.set_xlim(0, ends.max() * 1.12)
    axis.set_xlabel(words(metric))
    names_down(axis, rows[SYSTEM])
    return figure


@styled
def recall_curves(curve: pd.DataFrame, title: str = "How many candidates does recall need?") -> Picture:
    """recall_at_k by the length of the list, a line a system, from `evaluate.recall_curve`."""
    figure, (axis,) = panels(title)
    order = curve.sort_values("k").groupby(SYSTEM)[VALUE].last().sort_values(ascending=False).index
    palette = colours(curve[SYSTEM])
    for place, name in enumerate(order):
        rows = curve[curve[SYSTEM] == name].sort_values("k")
        marker = MARKERS[place % len(MARKERS)]
        axis.plot(rows["k"], rows[VALUE], marker=marker, color=palette[name], label=name)
        axis.fill_between(rows["k"], rows["low"], rows["high"], color=palette[name], alpha=0.12, linewidth=0)
    axis.set(xlabel="k", ylabel="recall@k", ylim=(0, None))
    legend_beside(axis)
    return figure


@styled
def heatmap(matrix: pd.DataFrame, title: str, style: str = "{:.0%}") -> Picture:
    """Numbers from 0 up in a grid, rows by columns, each cell written with ``style``."""
    values = matrix.to_numpy(dtype=np.float64)
    rows, columns = values.shape
    figure, (axis,) = panels(title, width=2.2 + 0.8 * columns, height=1.4 + 0.5 * rows)
    axis.imshow(values, cmap="Blues", vmin=0, aspect="auto")
    dark = np.nanmax(values) * 0.55
    for row, column in np.ndindex(rows, columns):
        value = values[row, column]
        shade = "white" if value > dark else INK
        axis.text(column, row, style.format(value), ha="center", va="center", color=shade)
    slanted: dict[str, Any] = (
        {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if columns > 6 else {}
    )
    axis.set_xticks(np.arange(columns), [str(name) for name in matrix.columns], **slanted)
    axis.set_yticks(np.arange(rows), [str(name) for name in matrix.index])
    bare(axis)
    return figure


@styled
def slices(summary: pd.DataFrame, metric: str, title: str = "For whom does it work?") -> Picture:
    """``metric`` in each slice of users, a panel an attribute, systems side by side."""
    rows = summary[(summary[METRIC] == metric) & summary[SLICE].str.contains("=")]
    rows = rows.assign(attribute=rows[SLICE].str.split("=").str[0], segment=rows[SLICE].str.split("=").str[1])
    attributes, palette = list(dict.fromkeys(rows["attribute"])), colours(rows[SYSTEM])
    segments = {
        name: list(dict.fromkeys(rows.loc[rows["attribute"] == name, "segment"])) for name in attributes
    }
    widths = [len(segments[name]) + 1 for name in attributes]
    width = min(14.0, 2.2 + 0.75 * sum(widths))
    figure, axes = panels(
        f"{title} ({words(metric)})", len(attributes), width=width, sharey=True, width_ratios=widths
    )
    offsets = np.linspace(-0.3, 0.3, len(palette)) if len(palette) > 1 else [0.0]
    for axis, attribute in zip(axes, attributes, strict=True):
        for place, (system, shift) in enumerate(zip(palette, offsets, strict=True)):
            mine = rows[(rows["attribute"] == attribute) & (rows[SYSTEM] == system)]
            at = np.array([segments[attribute].index(segment) for segment in mine["segment"]]) + shift
            marker = MARKERS[place % len(MARKERS)]
            intervals(axis, at, mine, across=False, fmt=marker, color=palette[system], label=system)
        axis.set_xticks(np.arange(len(segments[attribute])), segments[attribute])
        axis.set(xlabel=attribute, xlim=(-0.6, len(segments[attribute]) - 0.4))
        axis.grid(visible=False, axis="x")
    axes[0].set_ylim(0, None)  # shared, so only once all are drawn
    legend_beside(axes[-1])
    return figure


@styled
def difference_forest(
    differences: pd.DataFrame, baseline: str, title: str = "Is the difference more than chance?"
) -> Picture:
    """Paired differences with intervals, a panel a metric; filled where 0 is outside the interval."""
    labels = list(dict.fromkeys(differences[SYSTEM]))
    return _forest(
        differences, SYSTEM, METRIC, labels, title, lambda metric: f"{words(metric)}, minus {baseline}'s"
    )


def _forest(
    rows: pd.DataFrame, by: str, panel: str, labels: list[str], title: str, describe: Callable[[str], str]
) -> Picture:
    """Points and intervals about 0, one row a label, one panel a value of the column ``panel``."""
    every = list(dict.fromkeys(rows[panel]))
    size = {"width": 2.0 + 3.4 * len(every), "height": 1.3 + 0.34 * len(labels)}
    figure, axes = panels(title, len(every), sharey=True, **size)
    palette = {label: COLOURS.get(label, COLOURS["item_cf"]) for label in labels}
    for axis, name in zip(axes, every, strict=True):
        mine = rows[rows[panel] == name]
        for _, row in mine.iterrows():
            sure = row["low"] > 0 or row["high"] < 0
            look = {"color": palette[row[by]], "markerfacecolor": palette[row[by]] if sure else "white"}
            at = np.array([labels.index(row[by])])
            intervals(
                axis,
                at,
                row.to_frame().T.astype({VALUE: float, "low": float, "high": float}),
                across=True,
                **look,
            )
        axis.axvline(0, color=INK, linewidth=1)
        axis.set_xlabel(describe(name))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        names_down(axis, labels)
    return figure


@styled
def by_day(rows: pd.DataFrame, label: str, title: str) -> Picture:
    """Shares with intervals, day after day, about 0; a panel a metric.

    Columns: day (dates), metric, value, low, high.
    """
    every = list(dict.fromkeys(rows[METRIC]))
    figure, axes = panels(title, len(every), sharey=True, width=1.6 + 3.6 * len(every), height=3.4)
    for axis, metric in zip(axes, every, strict=True):
        mine = rows[rows[METRIC] == metric].sort_values("day")
        at = np.arange(len(mine))
        intervals(axis, at, mine, across=False, color=COLOURS["item_cf"])
        axis.axhline(0, color=INK, linewidth=1)
        axis.set_xticks(at, [f"{day:%m-%d}" for day in mine["day"]])
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.set_title(metric, loc="left", fontsize=10)
    axes[0].set_ylabel(words(label))
    return figure


@styled
def trade_off(frame: pd.DataFrame, x: str, y: str, label: str, title: str, by: str | None = None) -> Picture:
    """One thing bought with another: a line through the rows as they come, named by column ``label``.

    ``by`` names a column of which each value has a line of its own.
    """
    figure, (axis,) = panels(title)
    if by is None:
        axis.plot(frame[x], frame[y], marker="o", color=COLOURS["item_cf"])
    else:
        for marker, (name, rows) in zip(MARKERS, frame.groupby(by, sort=False), strict=False):
            axis.plot(rows[x], rows[y], marker=marker, color=colours(frame[by])[str(name)], label=name)
        legend_beside(axis)
    for at_x, at_y, name in zip(frame[x], frame[y], frame[label], strict=True):
        axis.annotate(str(name), (at_x, at_y), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axis.margins(0.08, 0.14)
    axis.set(xlabel=words(x), ylabel=words(y))
    return figure
