"""What is kept from run to run: the report, and beside it metrics of each user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from judging import PerUser, Verdict, recalled

from recsys.artifacts import read_json, replacing
from recsys.evaluate import write_report

NAME = "quality"
OF = " of "


def report(folder: Path) -> dict[str, Any]:
    """What was told last; of nothing where there is none."""
    there, empty = folder / f"{NAME}.json", {"libraries": {}, "tuned": {}, "protocols": {}}
    return empty | (read_json(there) if there.is_file() else {})


def verdicts(folder: Path, protocol: str, moment: Path) -> dict[str, Verdict]:
    """Of those who were asked at the same ``moment``."""
    told, there = report(folder)["protocols"].get(protocol, {}), _table(folder, protocol)
    if told.get("moment") != moment.stem or not there.is_file():
        return {}
    per_user: dict[str, dict[str, np.ndarray]] = {}
    for column, values in pd.read_parquet(there).items():
        metric, _, name = str(column).partition(OF)
        per_user.setdefault(name, {})[metric] = values.to_numpy()
    return recalled(told, per_user)


def write(folder: Path, told: Mapping[str, Any], per_user: Mapping[str, Mapping[str, PerUser]]) -> None:
    """The report ``told``, and of each protocol and system in ``per_user`` metrics of its users."""
    for protocol, systems in per_user.items():
        columns = {
            f"{metric}{OF}{name}": values for name, own in systems.items() for metric, values in own.items()
        }
        with replacing(_table(folder, protocol)) as temporary:
            pd.DataFrame(dict(sorted(columns.items()))).to_parquet(temporary, compression="zstd", index=False)
    write_report(folder, NAME, told, {})


def _table(folder: Path, protocol: str) -> Path:
    return folder / NAME / f"{protocol}.parquet"
