"""Memory of the container that this runs in: all of its processes, as whoever ends it counts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CGROUP = Path("/sys/fs/cgroup")
USED, LIMIT = "recsys_memory_bytes", "recsys_memory_limit_bytes"


class Memory(Collector):
    """What is in use and what may be; nothing of either where ``cgroup`` (version 2) does not say it."""

    def __init__(self, cgroup: Path = CGROUP) -> None:
        self.cgroup = cgroup

    def collect(self) -> Iterator[GaugeMetricFamily]:
        used, limit = self._number("memory.current"), self._number("memory.max")
        if used is not None:
            told = "Memory in use, without files that can be read again."
            yield GaugeMetricFamily(USED, told, value=used - self._of_files())
        if limit is not None:
            yield GaugeMetricFamily(LIMIT, "Memory that may be in use.", value=limit)

    def _number(self, name: str) -> int | None:
        try:
            return int((self.cgroup / name).read_text())
        except (OSError, ValueError):  # not in a container, or "max"
            return None

    def _of_files(self) -> int:
        try:
            told = dict(line.split() for line in (self.cgroup / "memory.stat").read_text().splitlines())
        except OSError:
            return 0
        return int(told.get("inactive_file", 0))
