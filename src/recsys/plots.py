"""Every figure of the reports, and the sole place that imports matplotlib: tidy frames in, a `Figure` out.

Figures are made without pyplot: no backend, no window, no state that a next one would inherit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from recsys.artifacts import replacing
from recsys.columns import CHANNEL, METRIC, SLICE, SYSTEM, VALUE

GREY, INK, LIGHT = "#8c8c8c", "#2b2b2b", "#e4e4e4"
COLOURS = {
    "popular": GREY,
    "item_cf": "#0072b2",
    "user_cf": "#56b4e9",
    "mf": "#009e73",
    "two_tower": "#e69f00",
    "cluster": "#cc79a7",
    "merged": "#332288",
    "ranked": "#d55e00",
    "reranked": "#882255",
}
"""Of a system in every figure: Okabe & Ito's and Tol's colours, told apart by colour-blind readers too."""
SPARE = ("#117733", "#999933", "#aa4499", "#44aa99", "#661100", "#6699cc", "#ddcc77", "#888888")
"""For other names, in the order in which they come."""
MARKERS = "osD^vPX*<>"
STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}
_P = ParamSpec("_P")


class Picture(Figure):
    """A figure that a notebook shows by itself, with the bytes that `save` would write."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            # No software, no date: the same figure gives the same bytes.
            self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def save(figure: Picture, path: Path) -> None:
    """Write a PNG, whole or not at all; the same figure gives the same bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(figure._repr_png_())


def _styled(draw: Callable[_P, Picture]) -> Callable[_P, Picture]:
    @wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> Picture:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def _panels(
    title: str, columns: int = 1, *, width: float = 7.2, height: float = 3.8, **grid: Any
) -> tuple[Picture, list[Axes]]:
    """One row of axes; the title stands at the left, above them all."""
    figure = Picture(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, **grid)[0]
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure, list(axes)


def colours(names: Iterable[str]) -> dict[str, str]:
    """Colour of each system: its own, or the next spare one."""
    unknown = iter(np.resize(SPARE, 100).tolist())
    return {name: COLOURS.get(name) or next(unknown) for name in dict.fromkeys(names)}


def _words(name: str) -> str:
    """``ndcg_at_10`` for people: ndcg@10."""
    return name.replace("_at_", "@").replace("_", " ")


def _interval(axis: Axes, at: np.ndarray, rows: pd.DataFrame, *, across: bool, **look: Any) -> None:
    """Points with intervals; without one (NaN) a bare point. ``across``: values run along x."""
    ends = np.abs(rows[["low", "high"]].to_numpy().T - rows[VALUE].to_numpy())
    bars = {"xerr" if across else "yerr": np.nan_to_num(ends)}
    x, y = (rows[VALUE], at) if across else (at, rows[VALUE])
    axis.errorbar(x, y, fmt=look.pop("fmt", "o"), elinewidth=1.6, capsize=3, **bars, **look)


def _names(axis: Axes, names: Iterable[object]) -> None:
    """Names down the y axis, the first on top."""
    names = [str(name) for name in names]
    axis.set_yticks(np.arange(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def _bare(axis: Axes) -> None:
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)


@_styled
def bars_with_intervals(
    summary: pd.DataFrame, metric: str, baseline: str | None = None, title: str | None = None
) -> Picture:
    """``metric`` of all users by system, best on top, against a line at ``baseline``."""
    rows = summary[(summary[METRIC] == metric) & (summary[SLICE] == "all")].sort_values(
        VALUE, ascending=False
    )
    figure, (axis,) = _panels(
        title or f"Which system has the best {_words(metric)}?", height=1.2 + 0.36 * len(rows)
    )
    at, palette = np.arange(len(rows)), colours(rows[SYSTEM])
    axis.barh(at, rows[VALUE], color=[palette[name] for name in rows[SYSTEM]], height=0.65)
    _interval(axis, at, rows, across=True, fmt="none", ecolor=INK)
    ends = rows["high"].fillna(rows[VALUE])
    for place, (end, value) in enumerate(zip(ends, rows[VALUE], strict=True)):
        axis.annotate(f"{value:.3f}", (end, place), (6, 0), textcoords="offset points", va="center")
    if baseline is not None:
        axis.axvline(
            rows.loc[rows[SYSTEM] == baseline, VALUE].iloc[0], color=INK, linestyle="--", linewidth=1
        )
    axis.set_xlim(0, ends.max() * 1.12)
    axis.set_xlabel(_words(metric))
    _names(axis, rows[SYSTEM])
    return figure


@_styled
def recall_curves(curve: pd.DataFrame, title: str = "How many candidates does recall need?") -> Picture:
    """recall_at_k by the length of the list, a line a system, from `evaluate.recall_curve`."""
    figure, (axis,) = _panels(title)
    order = curve.sort_values("k").groupby(SYSTEM)[VALUE].last().sort_values(ascending=False).index
    palette = colours(curve[SYSTEM])
    for place, name in enumerate(order):
        rows = curve[curve[SYSTEM] == name].sort_values("k")
        marker = MARKERS[place % len(MARKERS)]
        axis.plot(rows["k"], rows[VALUE], marker=marker, color=palette[name], label=name)
        axis.fill_between(rows["k"], rows["low"], rows["high"], color=palette[name], alpha=0.12, linewidth=0)
    axis.set(xlabel="k", ylabel="recall@k", ylim=(0, None))
    _legend_beside(axis)
    return figure


def _legend_beside(axis: Axes, **options: Any) -> None:
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, **options)


@_styled
def heatmap(matrix: pd.DataFrame, title: str, style: str = "{:.0%}") -> Picture:
    """Numbers from 0 up in a grid, rows by columns, each cell written with ``style``."""
    values = matrix.to_numpy(dtype=np.float64)
    rows, columns = values.shape
    figure, (axis,) = _panels(title, width=2.2 + 0.8 * columns, height=1.4 + 0.5 * rows)
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
    _bare(axis)
    return figure


@_styled
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
    figure, axes = _panels(
        f"{title} ({_words(metric)})", len(attributes), width=width, sharey=True, width_ratios=widths
    )
    offsets = np.linspace(-0.3, 0.3, len(palette)) if len(palette) > 1 else [0.0]
    for axis, attribute in zip(axes, attributes, strict=True):
        for place, (system, shift) in enumerate(zip(palette, offsets, strict=True)):
            mine = rows[(rows["attribute"] == attribute) & (rows[SYSTEM] == system)]
            at = np.array([segments[attribute].index(segment) for segment in mine["segment"]]) + shift
            marker = MARKERS[place % len(MARKERS)]
            _interval(axis, at, mine, across=False, fmt=marker, color=palette[system], label=system)
        axis.set_xticks(np.arange(len(segments[attribute])), segments[attribute])
        axis.set(xlabel=attribute, xlim=(-0.6, len(segments[attribute]) - 0.4), ylim=(0, None))
        axis.grid(visible=False, axis="x")
    _legend_beside(axes[-1])
    return figure


@_styled
def difference_forest(
    differences: pd.DataFrame, baseline: str, title: str = "Is the difference more than chance?"
) -> Picture:
    """Paired differences with intervals, a panel a metric; filled where 0 is outside the interval."""
    labels = list(dict.fromkeys(differences[SYSTEM]))
    return _forest(
        differences, SYSTEM, METRIC, labels, title, lambda metric: f"{_words(metric)}, minus {baseline}'s"
    )


@_styled
def weights_on_off(effects: pd.DataFrame, metric: str, title: str = "What does each weight do?") -> Picture:
    """What switching one weight changes: columns channel, weight, value, low, high; a panel a channel.

    ``value`` is the paired difference of ``metric``, with the weight minus without.
    """
    labels = list(dict.fromkeys(effects["weight"]))
    return _forest(
        effects, "weight", CHANNEL, labels, title, lambda name: f"{name}: {_words(metric)}, on minus off"
    )


def _forest(
    rows: pd.DataFrame, by: str, panel: str, labels: list[str], title: str, describe: Callable[[str], str]
) -> Picture:
    """Points and intervals about 0, one row a label, one panel a value of the column ``panel``."""
    panels = list(dict.fromkeys(rows[panel]))
    size = {"width": 2.0 + 3.4 * len(panels), "height": 1.3 + 0.34 * len(labels)}
    figure, axes = _panels(title, len(panels), sharey=True, **size)
    palette = colours(labels) if by == SYSTEM else dict.fromkeys(labels, COLOURS["item_cf"])
    for axis, name in zip(axes, panels, strict=True):
        mine = rows[rows[panel] == name]
        for _, row in mine.iterrows():
            sure = row["low"] > 0 or row["high"] < 0
            look = {"color": palette[row[by]], "markerfacecolor": palette[row[by]] if sure else "white"}
            at = np.array([labels.index(row[by])])
            _interval(
                axis,
                at,
                row.to_frame().T.astype({VALUE: float, "low": float, "high": float}),
                across=True,
                **look,
            )
        axis.axvline(0, color=INK, linewidth=1)
        axis.set_xlabel(describe(name))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        _names(axis, labels)
    return figure


@_styled
def training_curves(
    logs: Mapping[str, Sequence[Mapping[str, float]]], title: str = "Does it learn, and when does it stop?"
) -> Picture:
    """Logs of `train.fit` by model: a panel for the loss and for each metric, by epoch."""
    frames = {name: pd.DataFrame(log).set_index("epoch") for name, log in logs.items()}
    measured = list(dict.fromkeys(str(column) for frame in frames.values() for column in frame))
    figure, axes = _panels(title, len(measured), width=1.2 + 3.0 * len(measured), height=3.4)
    palette = colours(frames)
    for axis, column in zip(axes, measured, strict=True):
        for place, (name, frame) in enumerate(frames.items()):
            if column in frame:
                marker = MARKERS[place % len(MARKERS)]
                axis.plot(frame.index, frame[column], marker=marker, color=palette[name], label=name)
        axis.set(xlabel="epoch", ylabel=_words(column))
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(frames) > 1:
        _legend_beside(axes[-1])
    return figure


@_styled
def histogram(values: np.ndarray, label: str, title: str, bins: int = 50) -> Picture:
    """How often each size occurs."""
    figure, (axis,) = _panels(title)
    axis.hist(values, bins=bins, color=COLOURS["item_cf"], edgecolor="white", linewidth=0.4)
    axis.axvline(np.median(values), color=COLOURS["ranked"], label=f"median {np.median(values):,.3g}")
    axis.set(xlabel=label, ylabel="count")
    axis.legend()
    return figure


@_styled
def long_tail(
    counts: Mapping[str, np.ndarray], title: str = "How uneven are activity and popularity?"
) -> Picture:
    """Interactions of each user, each item: by rank (log, log) and as Lorenz curves with Gini's number."""
    figure, (ranks, lorenz) = _panels(title, 2, width=9.5)
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


@_styled
def timeline(
    timestamps: np.ndarray, cuts: Mapping[str, int], title: str = "When did it happen, and where is it cut?"
) -> Picture:
    """Interactions over time (s), with a line at the start of each part of a split."""
    figure, (axis,) = _panels(title, width=8.5)
    moments = pd.to_datetime(timestamps, unit="s").to_numpy()
    axis.hist(moments, bins=120, color=COLOURS["item_cf"])
    axis.set(ylabel="interactions", xlim=(moments.min(), moments.max()))
    top = axis.get_ylim()[1]
    for place, (name, moment) in enumerate(cuts.items()):
        at = date2num(np.datetime64(moment, "s"))
        axis.axvline(at, color=COLOURS["ranked"], linestyle="--", linewidth=1.2)
        # Parts can begin close to each other: their names go down in steps.
        axis.annotate(
            f"{name} →", (at, top * (0.95 - 0.08 * place)), (4, 0), textcoords="offset points", va="center"
        )
    return figure


@_styled
def calibration(
    probabilities: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    bins: int = 15,
    title: str = "Does a probability mean what it says?",
) -> Picture:
    """Predicted against seen shares in bins of equal counts, a panel a task."""
    figure, axes = _panels(title, len(probabilities), width=0.8 + 3.6 * len(probabilities))
    for axis, (task, predicted) in zip(axes, probabilities.items(), strict=True):
        parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
        x = np.array([predicted[part].mean() for part in parts])
        y = np.array([labels[task][part].mean() for part in parts])
        end = max(x.max(), y.max()) * 1.05
        axis.plot([0, end], [0, end], color=GREY, linestyle="--", linewidth=1)
        axis.plot(x, y, marker="o", color=COLOURS["item_cf"])
        axis.set(title=task, xlabel="predicted", ylabel="seen", xlim=(0, end), ylim=(0, end))
    return figure


@_styled
def gates(weights: pd.DataFrame, title: str = "Which experts does each task listen to?") -> Picture:
    """Mean weight of each expert (columns) in each task's gate (rows)."""
    figure, (axis,) = _panels(title, height=1.4 + 0.5 * len(weights))
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
    _names(axis, weights.index)
    _legend_beside(axis, title="expert")
    return figure


@_styled
def scatter_map(
    xy: np.ndarray, labels: Sequence[str], title: str = "Do similar items lie together?", most: int = 8
) -> Picture:
    """Embeddings in the plane, (n, 2), coloured by the ``most`` frequent labels; the others grey, below."""
    figure, (axis,) = _panels(title, width=7.6, height=5.6)
    named = pd.Series(list(labels))
    frequent = list(named.value_counts().index[:most])
    rest = ~named.isin(frequent).to_numpy()
    axis.scatter(xy[rest, 0], xy[rest, 1], s=8, color=LIGHT, label="other", linewidth=0)
    shades = (*list(COLOURS.values())[1:], *SPARE)
    for label, shade in zip(frequent, shades, strict=False):
        mine = (named == label).to_numpy()
        axis.scatter(xy[mine, 0], xy[mine, 1], s=11, color=shade, alpha=0.75, label=label, linewidth=0)
    axis.set(xticks=[], yticks=[])
    _bare(axis)
    _legend_beside(axis, markerscale=2.5)
    return figure


@_styled
def cluster_sizes(sizes: np.ndarray, title: str = "Are clusters of a size?") -> Picture:
    """Items in each cluster, largest first, with their mean."""
    figure, (axis,) = _panels(title)
    ordered = np.sort(sizes)[::-1]
    axis.bar(np.arange(len(sizes)), ordered, color=COLOURS["cluster"], width=0.85)
    axis.axhline(sizes.mean(), color=INK, linestyle="--", linewidth=1, label=f"mean {sizes.mean():.1f}")
    axis.set(xlabel="clusters, largest first", ylabel="items", xlim=(-0.7, len(sizes) - 0.3))
    axis.grid(visible=False, axis="x")
    axis.legend()
    return figure


@_styled
def trade_off(frame: pd.DataFrame, x: str, y: str, label: str, title: str) -> Picture:
    """One thing bought with another: a line through the rows as they come, named by column ``label``."""
    figure, (axis,) = _panels(title)
    axis.plot(frame[x], frame[y], marker="o", color=COLOURS["item_cf"])
    for at_x, at_y, name in zip(frame[x], frame[y], frame[label], strict=True):
        axis.annotate(str(name), (at_x, at_y), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    axis.margins(0.08, 0.14)
    axis.set(xlabel=_words(x), ylabel=_words(y))
    return figure
