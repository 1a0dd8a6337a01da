"""The release at work in this worker, and how another takes over: asked for here, or pointed at for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from observed import AT_WORK, REFUSED

from recsys.release import point, pointer
from recsys.serving import Live

LOG = logging.getLogger("recommender")
EVERY = 0.5
"""Seconds between looks at the pointer."""


class Following:
    """``live`` answers; ``refused`` is the id of the release pointed at where it cannot be loaded, else None.

    A ``pinned`` worker starts with a release of its own, and follows once the pointer is written again.
    ``prepare`` is called with a release before it answers.
    """

    def __init__(
        self, folder: Path, live: Live, prepare: Callable[[Live], None], pinned: bool = False
    ) -> None:
        self.folder = folder
        self.live = live
        self.prepare = prepare
        self.refused: str | None = None
        self._seen = pointer(folder) if pinned else None
        self._one_at_a_time = asyncio.Lock()
        AT_WORK.labels(live.id).set(1)

    async def switch(self, id_: str) -> None:
        """Go over to a release, all workers with us; ReleaseError or OSError where nothing has changed."""

        def loaded_and_pointed_at() -> Live:
            live = self._loaded(id_)
            point(self.folder, id_)
            return live

        async with self._one_at_a_time:
            self._take(await asyncio.to_thread(loaded_and_pointed_at))

    async def follow(self) -> NoReturn:
        """Go where the pointer points, for ever."""
        while True:
            await asyncio.sleep(EVERY)
            async with self._one_at_a_time:
                told = pointer(self.folder)
                if told is not None and told != self._seen:
                    self._seen = told
                    await self._go_to(told.id)

    async def _go_to(self, id_: str) -> None:
        if id_ == self.live.id:
            self._take(self.live)
            return
        try:
            self._take(await asyncio.to_thread(self._loaded, id_))
        except Exception as error:  # else nobody would follow any more
            LOG.error("release %s is to answer, but is refused, %s stays: %s", id_, self.live.id, error)
            self.refused = id_
            REFUSED.set(1)

    def _loaded(self, id_: str) -> Live:
        live = Live.load(self.folder / id_)
        self.prepare(live)
        return live

    def _take(self, live: Live) -> None:
        AT_WORK.labels(self.live.id).set(0)
        AT_WORK.labels(live.id).set(1)
        self.live = live
        self.refused = None
        REFUSED.set(0)
