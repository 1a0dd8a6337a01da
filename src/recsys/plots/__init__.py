"""Every figure of the reports, and the sole package that imports matplotlib: tidy frames in, figures out."""

from recsys.plots.charts import bars, boxes, by_setting, parts_over_time, stacked
from recsys.plots.data import long_tail
from recsys.plots.judged import (
    bars_with_intervals,
    by_day,
    difference_forest,
    heatmap,
    recall_curves,
    slices,
    trade_off,
)
from recsys.plots.models import (
    calibration,
    cluster_sizes,
    dots_by_seed,
    gains_of_ranks,
    gates,
    scatter_map,
    search_kinds,
    training_curves,
)
from recsys.plots.service import memory_over_requests, waiting_by_load
from recsys.plots.style import Picture, save

__all__ = [
    "Picture",
    "bars",
    "bars_with_intervals",
    "boxes",
    "by_day",
    "by_setting",
    "calibration",
    "cluster_sizes",
    "difference_forest",
    "dots_by_seed",
    "gains_of_ranks",
    "gates",
    "heatmap",
    "long_tail",
    "memory_over_requests",
    "parts_over_time",
    "recall_curves",
    "save",
    "scatter_map",
    "search_kinds",
    "slices",
    "stacked",
    "trade_off",
    "training_curves",
    "waiting_by_load",
]
