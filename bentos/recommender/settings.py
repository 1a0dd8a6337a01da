"""How the service runs."""

from __future__ import annotations

import os
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pydantic.dataclasses import dataclass


@dataclass
class Settings:
    """Each from the environment variable RECSYS_<NAME>."""

    releases: Path = Path("artifacts/releases")
    store: str = "artifacts/store"
    release: str = ""
    """With which to start; the live one of ``releases`` if not given."""
    workers: Annotated[int, Field(ge=1)] = 1
    clock: str = "release"
    deadline_ms: float = 200
    awake_ms: Annotated[float, Field(ge=0, le=1000)] = 0
    """For so long after an answer a worker looks for the next request instead of sleeping, and is busy."""
    cache_mb: float = 10
    cache_seconds: float = 60
    max_body: int = 1 << 18
    access_share: float = 0.01
    """Of the requests that go well, how many get a line in the access log; faults always do."""
    log: str = ""
    """File that requests are recorded in, to be asked again by `recsys replay`; none if not given."""
    log_share: float = 1.0
    admin_token: str = field(default="", repr=False)


def of_environment() -> Settings:
    """What the environment says; it ends the process where that is nonsense."""
    names = [each.name for each in fields(Settings)]
    told = {name: os.environ.get(f"RECSYS_{name.upper()}") for name in names}
    try:
        return Settings(**{name: value for name, value in told.items() if value})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise SystemExit(f"RECSYS_{str(first['loc'][0]).upper()}: {first['msg']}") from None
