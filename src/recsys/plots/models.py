"""Figures of what was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import FormatStrFormatter, MaxNLocator, PercentFormatter

from recsys.plots.style import (
    COLOURS,
    GREY,
    INK,
    MARKERS,
    SPARE,
    Picture,
    bare,
    colours,
    legend_beside,
    names_down,
    panels,
    styled,
    words,
)


@styled
def training_curves(
    logs: Mapping[str, Sequence[Mapping[str, float]]], title: str = "Does it learn, and when does it stop?"
) -> Picture:
    """Logs of `train.fit` by model: a panel for the loss and for each metric, by epoch."""
    frames = {name: pd.DataFrame(log).set_index("epoch") for name, log in logs.items()}
    measured = list(dict.fromkeys(str(column) for frame in frames.values() for column in frame))
    figure, axes = panels(title, len(measured), width=1.2 + 3.0 * len(measured), height=3.4)
    palette = colours(frames)
    for axis, column in zip(axes, measured, strict=True):
        for place, (name, frame) in enumerate(frames.items()):
            if column in frame:
                marker = MARKERS[place % len(MARKERS)]
                axis.plot(frame.index, frame[column], marker=marker, color=palette[name], label=name)
        axis.set(xlabel="epoch", ylabel=words(column))
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(frames) > 1:
        legend_beside(axes[-1])
    return figure


@styled
def dots_by_seed(
    measured: pd.DataFrame, metric: str, title: str = "Is the difference more than the seed's?"
) -> Picture:
    """``metric`` of each run (columns task, model), a panel a task, a row a model; the line is the mean."""
    tasks, models = list(dict.fromkeys(measured["task"])), list(dict.fromkeys(measured["model"]))
    size = {"width": 1.6 + 3.4 * len(tasks), "height": 1.4 + 0.5 * len(models)}
    figure, axes = panels(title, len(tasks), sharey=True, **size)
    palette = colours(models)
    for axis, task in zip(axes, tasks, strict=True):
        for place, model in enumerate(models):
            values = measured.loc[(measured["task"] == task) & (measured["model"] == model), metric]
            axis.plot(values, np.full(len(values), place), "o", color=palette[model], alpha=0.7)
            axis.plot([values.mean()] * 2, [place - 0.25, place + 0.25], color=palette[model])
        axis.set(title=task, xlabel=words(metric))
        axis.xaxis.set_major_locator(MaxNLocator(4))
        names_down(axis, models)
    return figure


@styled
def calibration(
    probabilities: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    bins: int = 15,
    title: str = "Does a probability mean what it says?",
) -> Picture:
    """Predicted against seen shares in bins of equal counts, a panel a task."""
    figure, axes = panels(title, len(probabilities), width=0.8 + 3.6 * len(probabilities))
    for axis, (task, predicted) in zip(axes, probabilities.items(), strict=True):
        parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
        x = np.array([predicted[part].mean() for part in parts])
        y = np.array([labels[task][part].mean() for part in parts])
        end = max(x.max(), y.max()) * 1.05
        axis.plot([0, end], [0, end], color=GREY, linestyle="--", linewidth=1)
        axis.plot(x, y, marker="o", color=COLOURS["item_cf"])
        axis.set(title=task, xlabel="predicted", ylabel="seen", xlim=(0, end), ylim=(0, end))
    return figure


@styled
def gains_of_ranks(gains: pd.DataFrame, title: str = "What is a place in a channel's list worth?") -> Picture:
    """A line a channel (column) over ranks (index) on a logarithmic scale."""
    figure, (axis,) = panels(title)
    palette = colours(gains.columns)
    for place, name in enumerate(gains.iloc[0].sort_values(ascending=False).index):
        marker = MARKERS[place % len(MARKERS)]
        axis.plot(gains.index, gains[name], marker=marker, color=palette[name], label=name)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(FormatStrFormatter("%d"))
    axis.set(xlabel="rank in the channel's list", ylabel="gain", ylim=(0, None))
    legend_beside(axis)
    return figure


@styled
def gates(weights: pd.DataFrame, title: str = "Which experts does each task listen to?") -> Picture:
    """Mean weight of each expert (columns) in each task's gate (rows)."""
    figure, (axis,) = panels(title, height=1.4 + 0.5 * len(weights))
    left = np.zeros(len(weights))
    shades = (*list(COLOURS.values())[1:], *SPARE)
    for place, expert in enumerate(weights.columns):
        share = weights[expert].to_numpy()
        axis.barh(
            np.arange(len(weights)),
            share,
            left=left,
            color=shades[place],
            edgecolor="white",
            label=str(expert),
        )
        for row in np.flatnonzero(share > 0.06).tolist():
            axis.text(
                left[row] + share[row] / 2, row, f"{share[row]:.0%}", ha="center", va="center", color="white"
            )
        left += share
    axis.set_xlim(0, left.max())
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    names_down(axis, weights.index)
    legend_beside(axis, title="expert")
    return figure


@styled
def scatter_map(
    xy: np.ndarray, labels: Sequence[str], title: str = "Do similar items lie together?", most: int = 8
) -> Picture:
    """Embeddings in the plane, (n, 2), coloured by the ``most`` frequent labels; the others grey, below."""
    figure, (axis,) = panels(title, width=7.6, height=5.6)
    named = pd.Series(list(labels))
    frequent = list(named.value_counts().index[:most])
    rest = ~named.isin(frequent).to_numpy()
    axis.scatter(xy[rest, 0], xy[rest, 1], s=8, color="#cfcfcf", label="other", linewidth=0)
    shades = (*list(COLOURS.values())[1:], *SPARE)
    for label, shade in zip(frequent, shades, strict=False):
        mine = (named == label).to_numpy()
        axis.scatter(xy[mine, 0], xy[mine, 1], s=11, color=shade, alpha=0.75, label=label, linewidth=0)
    axis.set(xticks=[], yticks=[])
    bare(axis)
    legend_beside(axis, markerscale=2.5)
    return figure


@styled
def cluster_sizes(sizes: np.ndarray, title: str = "Are clusters of a size?") -> Picture:
    """Items in each cluster, largest first, with their mean."""
    figure, (axis,) = panels(title)
    ordered = np.sort(sizes)[::-1]
    axis.bar(np.arange(len(sizes)), ordered, color=COLOURS["cluster"], width=0.85)
    axis.axhline(sizes.mean(), color=INK, linestyle="--", linewidth=1, label=f"mean {sizes.mean():.1f}")
    axis.set(xlabel="clusters, largest first", ylabel="items", xlim=(-0.7, len(sizes) - 0.3))
    axis.grid(visible=False, axis="x")
    axis.legend()
    return figure


@styled
def search_kinds(
    asked: pd.DataFrame, kept: pd.DataFrame, k: int, title: str = "What does it cost to find the nearest?"
) -> Picture:
    """Share found over milliseconds (log), a panel a catalogue, a line a kind; then megabytes of the indexes.

    Columns: catalogue, kind, effort, recall, p50_ms; and catalogue, kind, megabytes. Effort 1 is filled.
    """
    catalogues, kinds = list(dict.fromkeys(asked["catalogue"])), list(dict.fromkeys(asked["kind"]))
    figure, axes = panels(title, len(catalogues) + 1, width=4.6 + 3.6 * len(catalogues), height=3.8)
    palette = colours(kinds)
    for axis, catalogue in zip(axes, catalogues, strict=False):
        for place, kind in enumerate(kinds):
            rows = asked[(asked["catalogue"] == catalogue) & (asked["kind"] == kind)].sort_values("effort")
            look = {"color": palette[kind], "marker": MARKERS[place], "label": kind}
            axis.plot(rows["p50_ms"], rows["recall"], markerfacecolor="white", **look)
            usual = rows[rows["effort"] == 1]
            axis.plot(usual["p50_ms"], usual["recall"], linestyle="none", **look)
        axis.set(
            title=catalogue, xscale="log", xlabel="milliseconds (median)", ylabel=f"share of the best {k}"
        )
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_ylim(None, 1.02)
    sizes = kept[kept["catalogue"] == catalogues[-1]].set_index("kind")["megabytes"]
    axes[-1].barh(np.arange(len(kinds)), sizes[kinds], color=[palette[kind] for kind in kinds], height=0.65)
    axes[-1].set(title=catalogues[-1], xlabel="megabytes, beside the vectors")
    names_down(axes[-1], kinds)
    lines = axes[0].get_lines()[1::2]
    axes[0].legend(lines, kinds, loc="lower right")
    return figure
