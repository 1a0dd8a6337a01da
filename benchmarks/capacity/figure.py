"""The figure of the report."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.capacity import Fitted
from recsys.plots.style import COLOURS, GREY, Picture, panels, styled

TITLE = "What do replicas answer, and how long does it take?"
LOOK = {1: COLOURS["item_cf"], 2: COLOURS["ranked"]}
"""Colours by replicas."""
QUANTILES = {"p50_ms": (0.5, "-"), "p99_ms": (0.99, "--")}
PLACES = 60
"""At which a fitted line is drawn."""


@styled
def load_curves(points: pd.DataFrame, fitted: Fitted) -> Picture:
    """Requests per second over connections, and milliseconds (log) over requests that come by chance.

    Points as measured, those held back hollow; lines as fitted.
    """
    figure, (closed, opened) = panels(TITLE, 2, width=9.5, height=4.2)
    for replicas, rows in points.groupby("replicas"):
        colour, name = LOOK[replicas], "1 replica" if replicas == 1 else f"{replicas} replicas"
        asking, coming = rows[rows["kind"] == "closed"], rows[rows["kind"] == "open"]
        along = np.linspace(1, asking["connections"].max(), PLACES)
        closed.plot(along, fitted.scaling.throughput(along, replicas), color=colour, label=name)
        _dots(closed, asking, "connections", "requests_per_second", colour)
        loads = np.linspace(*coming["requests_per_second"].agg(["min", "max"]), PLACES)
        busiest = coming["busiest"].median()
        for measure, (quantile, line) in QUANTILES.items():
            waits = [fitted.queue.waiting(quantile, load, replicas, busiest) * 1000 for load in loads]
            opened.plot(loads, waits, line, color=colour)
            _dots(opened, coming, "requests_per_second", measure, colour)
    closed.plot([], [], "o", color=GREY, markerfacecolor="white", label="held back")
    for measure, (_, line) in QUANTILES.items():
        opened.plot([], [], line, color=GREY, label=measure.removesuffix("_ms"))
    closed.set(title="without a pause", xlabel="connections", ylabel="requests per second", ylim=(0, None))
    opened.set(title="by chance", xlabel="requests per second", ylabel="milliseconds", yscale="log")
    opened.yaxis.set_major_formatter("{x:g}")
    closed.legend(loc="lower right")
    opened.legend(loc="upper left")
    return figure


def _dots(axis, rows: pd.DataFrame, x: str, y: str, colour: str) -> None:
    for held_back, some in rows.groupby("held_back"):
        axis.plot(some[x], some[y], "o", color=colour, markerfacecolor="white" if held_back else colour)
