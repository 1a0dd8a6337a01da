"""A load generator: connections that send prepared requests and time each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np


@dataclass(frozen=True)
class Load:
    """What a run saw: ``seconds`` of each answer (n,), how long it took, how many were not 200."""

    seconds: np.ndarray
    took: float
    failed: int

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.took

    def quantile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.quantile(self.seconds, share) * 1000)


def post(path: str, body: bytes) -> bytes:
    """A request as it goes over the wire."""
    kind = "host: localhost\r\ncontent-type: application/json"
    return f"POST {path} HTTP/1.1\r\n{kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def closed(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Each connection asks again as soon as it is answered: what the server can do at most."""
    return asyncio.run(_run(port, requests, connections, seconds, None))


def opened(port: int, requests: Sequence[bytes], per_second: float, seconds: float, seed: int = 0) -> Load:
    """Requests come when they come (Poisson); a late start counts as waiting."""
    n = int(per_second * seconds)
    starts = np.random.default_rng(seed).exponential(1 / per_second, n).cumsum()
    return asyncio.run(_run(port, requests, 64, seconds, starts.tolist()))


async def _run(
    port: int, requests: Sequence[bytes], connections: int, seconds: float, starts: list[float] | None
) -> Load:
    taken: list[float] = []
    failed = 0
    began = perf_counter()
    number = 0

    async def connection() -> None:
        nonlocal failed, number
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while perf_counter() - began < seconds:
            mine, number = number, number + 1
            due = perf_counter()
            if starts is not None:
                if mine >= len(starts):
                    break
                due = began + starts[mine]
                if (early := due - perf_counter()) > 0:
                    await asyncio.sleep(early)
            writer.write(requests[mine % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            taken.append(perf_counter() - due)
            failed += not head.startswith(b"HTTP/1.1 200")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    return Load(np.array(taken), perf_counter() - began, failed)
