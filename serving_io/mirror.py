"""The objects of one kind as they are now, kept by one LIST and a watch: what has not changed crosses no wire again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Final

from serving_io.cluster import Cluster, Manifest, unreduced
from serving_io.errors import ApiError
from serving_io.kinds import Kind

LEAST_SECONDS: Final = 1.0
"""Between the beginnings of two watches."""

log = logging.getLogger(__name__)


class Mirror:
    """Keep the objects of a kind, of one namespace or of all; close it at the end.

    `reduced` says what is kept of each object. Where the watch breaks, the next call of `items` lists again: a mirror is
    never older than a connection may be silent.
    """

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        namespace: str | None = None,
        *,
        reduced: Callable[[Manifest], Manifest] = unreduced,
    ) -> None:
        self._cluster, self._kind, self._namespace, self._reduced = cluster, kind, namespace, reduced
        self._items: dict[tuple[str, str], Manifest] = {}
        self._following: asyncio.Task[None] | None = None

    async def items(self) -> Sequence[Manifest]:
        """All objects. They are replaced when they change, never altered. Raises `ApiError` where they must be listed and cannot be."""
        if self._following is None or self._following.done():
            listing = await self._cluster.list(self._kind, self._namespace, reduced=self._reduced)
            self._items = {_name(item): item for item in listing.items}
            self._following = asyncio.create_task(self._follow(listing.resource_version))
        return list(self._items.values())

    async def close(self) -> None:
        """End the watch."""
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self, version: str) -> None:
        try:
            while True:
                begun = asyncio.get_running_loop().time()
                async with aclosing(self._cluster.watch(self._kind, version, self._namespace)) as events:
                    async for event in events:
                        version = event.object["metadata"]["resourceVersion"]
                        if event.type == "DELETED":
                            self._items.pop(_name(event.object), None)
                        elif event.type != "BOOKMARK":
                            self._items[_name(event.object)] = self._reduced(event.object)
                # Who ends each watch at once, as a proxy that does not stream, would be asked without end.
                await asyncio.sleep(begun + LEAST_SECONDS - asyncio.get_running_loop().time())
        except ApiError as error:
            log.info("the watch of %s has ended, they are listed again (%s)", self._kind.plural, error)


def _name(item: Manifest) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
