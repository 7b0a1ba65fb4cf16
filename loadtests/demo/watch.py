"""Keeps a history of the demo's objects by watching them in the API server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from loadtests.demo.observation import Snapshot, read
from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import DEPLOYMENT, HTTP_ROUTE, INFERENCE_AUTOSCALER, INFERENCE_SERVICE, Kind

logger = logging.getLogger(__name__)
_KINDS = (INFERENCE_SERVICE, DEPLOYMENT, HTTP_ROUTE, INFERENCE_AUTOSCALER)
_RECONNECT_SECONDS = 1.0


class Watcher:
    """Watches one service's objects while it is entered; `samples` grows by one whenever something changes."""

    def __init__(self, cluster: Cluster, namespace: str, service: str, clock: Callable[[], float]) -> None:
        self.samples: list[tuple[float, Snapshot]] = []
        """Seconds by the clock given, and what held from then on."""
        self._cluster = cluster
        self._namespace = namespace
        self._service = service
        self._clock = clock
        self._objects: dict[Kind, dict[str, dict[str, Any]]] = {kind: {} for kind in _KINDS}
        self._listed: set[Kind] = set()
        self._changed = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Watcher:
        self._tasks = [
            asyncio.create_task(self._follow(kind), name=f"watch-{kind.plural}") for kind in _KINDS
        ]
        await self.until(lambda _: True, 30)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def now(self) -> Snapshot:
        """What holds now."""
        return self.samples[-1][1] if self.samples else Snapshot()

    async def until(self, holds: Callable[[Snapshot], bool], timeout_seconds: float) -> bool:
        """Wait until a property holds; return whether it came to hold within the time."""
        async with self._changed:
            try:
                async with asyncio.timeout(max(0.0, timeout_seconds)):
                    await self._changed.wait_for(lambda: bool(self.samples) and holds(self.now))
            except TimeoutError:
                return False
        return True

    async def _follow(self, kind: Kind) -> None:
        while True:
            try:
                listing = await self._cluster.list(kind, self._namespace)
                self._objects[kind] = {one["metadata"]["name"]: one for one in listing.items}
                self._listed.add(kind)
                await self._note()
                version = listing.resource_version
                async with aclosing(self._cluster.watch(kind, version, self._namespace)) as events:
                    async for event in events:
                        await self._apply(kind, event.type, event.object)
            except ApiError as error:
                logger.info("watch of %s: %s; again in a second", kind.plural, error)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _apply(self, kind: Kind, type_: str, changed: dict[str, Any]) -> None:
        if type_ == "BOOKMARK":
            return
        name = changed["metadata"]["name"]
        if type_ == "DELETED":
            self._objects[kind].pop(name, None)
        else:
            self._objects[kind][name] = changed
        await self._note()

    async def _note(self) -> None:
        if len(self._listed) < len(_KINDS):
            return
        snapshot = read(
            self._service,
            *(list(self._objects[kind].values()) for kind in _KINDS),
        )
        if snapshot != self.now or not self.samples:
            async with self._changed:
                self.samples.append((self._clock(), snapshot))
                self._changed.notify_all()
