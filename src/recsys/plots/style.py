"""How figures look: one style, one colour a system, the same bytes for the same figure.

Figures are made without pyplot: no backend, no window, no state that a next one would inherit.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.artifacts import replacing
from recsys.columns import VALUE

GREY, INK, LIGHT = "#8c8c8c", "#2b2b2b", "#e4e4e4"
COLOURS = {
    "popular": GREY,
    "item_cf": "#0072b2",
    "user_cf": "#56b4e9",
    "swing": "#117733",
    "mf": "#009e73",
    "two_tower": "#e69f00",
    "cluster": "#cc79a7",
    "merged": "#332288",
    "ranked": "#d55e00",
    "reranked": "#882255",
}
"""Of a system in every figure: Okabe & Ito's and Tol's colours, told apart by colour-blind readers too."""
SPARE = ("#999933", "#aa4499", "#44aa99", "#661100", "#6699cc", "#ddcc77", "#888888")
"""For other names, in the order in which they come."""
TAG = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
"""Behind words that stand on a drawing."""
MARKERS = "osD^vPX*<>"
STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelpad": 6,
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
    "xtick.major.pad": 6,
    "figure.constrained_layout.w_pad": 0.08,
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


def styled(draw: Callable[_P, Picture]) -> Callable[_P, Picture]:
    """Draw in `STYLE`, whatever the caller has set for other figures."""

    @wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> Picture:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


def panels(
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


def words(name: str) -> str:
    """``ndcg_at_10`` for people: ndcg@10."""
    return name.replace("_at_", "@").replace("_", " ")


def intervals(axis: Axes, at: np.ndarray, rows: pd.DataFrame, *, across: bool, **look: Any) -> None:
    """Points with intervals; without one (NaN) a bare point. ``across``: values run along x."""
    ends = np.abs(rows[["low", "high"]].to_numpy().T - rows[VALUE].to_numpy())
    bars = {"xerr" if across else "yerr": np.nan_to_num(ends)}
    x, y = (rows[VALUE], at) if across else (at, rows[VALUE])
    axis.errorbar(x, y, fmt=look.pop("fmt", "o"), elinewidth=1.6, capsize=3, **bars, **look)


def names_down(axis: Axes, names: Iterable[Any]) -> None:
    """Names down the y axis, the first on top."""
    names = [str(name) for name in names]
    axis.set_yticks(np.arange(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def legend_beside(axis: Axes, **options: Any) -> None:
    """Put the legend outside, where it hides nothing."""
    axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0, **options)


def bare(axis: Axes) -> None:
    """Leave the drawing without grid and frame."""
    axis.grid(visible=False)
    for side in axis.spines.values():
        side.set_visible(False)
