"""Figures of a run as files: what ``dvc metrics`` and ``dvc plots`` show and README reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recsys.artifacts import replacing, write_json
from recsys.columns import METRIC, SLICE, SYSTEM, VALUE
from recsys.evaluate.judge import ALL

HEADLINE = ("ndcg_at_10", "recall_at_10", "recall_at_100", "recall_at_300")
DIGITS = 6
"""Of a reported figure: more would be noise, and differ between machines."""


def to_metrics(summary: pd.DataFrame, slice_name: str = ALL) -> dict[str, dict[str, float]]:
    """Values of one slice of a summary as ``{system: {metric: value}}``; those that are NaN are left out."""
    rows = summary[(summary[SLICE] == slice_name) & summary[VALUE].notna()]
    nested: dict[str, dict[str, float]] = {system: {} for system in rows[SYSTEM].unique()}
    for system, metric, value in zip(rows[SYSTEM], rows[METRIC], rows[VALUE], strict=True):
        nested[system][metric] = round(float(value), DIGITS)
    return nested


def write_report(
    folder: Path,
    name: str,
    report: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    headline: Mapping[str, float] | None = None,
) -> None:
    """Write ``<name>.json`` and ``<name>/<table>.csv`` for ``dvc plots``, 6 digits each.

    Of ``headline``, the metrics of the system that a stage is about, `HEADLINE` go to ``metrics/<name>.json``
    for ``dvc metrics``: few, and the same of every stage. ValueError names the metric that is not finite:
    JSON has no word for it.
    """
    for table, frame in tables.items():
        with replacing(folder / name / f"{table}.csv") as temporary:
            frame.to_csv(temporary, index=frame.index.name is not None, float_format=f"%.{DIGITS}f")
    write_json(folder / f"{name}.json", _plain(report, name))
    if headline is not None:
        known = {metric: headline[metric] for metric in HEADLINE if metric in headline}
        write_json(folder / "metrics" / f"{name}.json", _plain(known, name))


def _plain(content: Any, place: str) -> Any:
    """Python's own types for JSON, floats rounded."""
    if isinstance(content, Mapping):
        return {str(key): _plain(value, f"{place}.{key}") for key, value in content.items()}
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float):
        if not np.isfinite(content):
            raise ValueError(f"{place} is {content}: leave it out of the report")
        return round(content, DIGITS)
    return content
