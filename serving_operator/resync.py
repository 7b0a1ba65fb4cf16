"""Reads everything anew: what no event told, the cache learns here.

At the start, every few minutes, and after the API server was away. An outage that is longer than the Lease's renew
deadline ends the process instead, and the next one starts with a resync.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from serving_io.cluster import Cluster
from serving_io.errors import ApiError
from serving_io.kinds import GATEWAY, HTTP_ROUTE, Kind
from serving_operator.cache import Cache
from serving_operator.watched import Watched, kept
from serving_operator.workqueue import WorkQueue

JITTER = 0.1
FIRST_SECONDS = 30.0
"""After the start: by then the watches have begun, and what ended before they did is told by none of them."""
RETRY_SECONDS = 5.0
OUTAGE_SECONDS = 3.0

log = logging.getLogger(__name__)


class PastRestored(Exception):  # noqa: N818  (named for what has happened)
    """The API server holds an older state than it told before: nothing that is remembered can be trusted."""


class Resync:
    """Lists every watched kind into the cache: at the start, then every `period_seconds`."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        cache: Cache,
        queue: WorkQueue,
        watched: Sequence[Watched],
        namespaces: Sequence[str],
        period_seconds: float,
        on_result: Callable[[str], None] = lambda _: None,
        on_behind: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self.watched = watched
        self._namespaces: Iterable[str | None] = tuple(namespaces) or (None,)
        self._period_seconds = period_seconds
        self._on_result = on_result
        self._on_behind = on_behind
        self._listed: dict[tuple[str, str | None], int] = {}
        self._succeeded_at: float | None = None
        self._failing_since: float | None = None
        self._recovered = asyncio.Event()

    async def once(self) -> None:
        """Replace the cache by what the API server lists, and let every service be looked at. Raises `ApiError`, `PastRestored`.

        A watch that is told its history is gone lists again but does not say what has vanished meanwhile: objects
        that exist only in the cache end here.
        """
        for watched in self.watched:
            items, versions = [], []
            for namespace in self._namespaces:
                # Reduced as it comes: a whole kind of a large cluster would outweigh all that is kept.
                listing = await self._cluster.list(
                    watched.kind, namespace, label_selector=watched.selector, reduced=kept
                )
                items += listing.items
                versions.append(self._later(watched.kind, namespace, int(listing.resource_version)))
            if self._succeeded_at is not None:
                for place in self._cache.behind(items):
                    # Now and then an event is under way; where it is often, a watch has lost some.
                    log.info("the watch had not told the newest state of %s %s/%s", *place)
                    self._on_behind(place.kind)
            for key in self._cache.replace(watched.kind.name, items, min(versions)):
                self._queue.add(key)
        for key in self._cache.service_keys():
            self._queue.add(key)
        self._succeeded_at = asyncio.get_running_loop().time()
        self._on_result("success")

    def _later(self, kind: Kind, namespace: str | None, version: int) -> int:
        """The version of a list; without a resourceVersion it is asked for the newest state, so that it never falls."""
        before = self._listed.get((kind.name, namespace), 0)
        if version < before:
            raise PastRestored(
                f"the list of {kind.plural} is of resourceVersion {version}, an earlier one was of {before}: an older "
                "state of the cluster was restored. The process ends, to start with an empty memory."
            )
        self._listed[kind.name, namespace] = version
        return version

    async def keep(self) -> None:
        """Resync for ever; soon at first, and after a failure. Ends when the kinds that are served are others than before."""
        pause_seconds = min(FIRST_SECONDS, self._jittered())
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._recovered.wait()
            self._recovered.clear()
            try:
                if await gateway_api_served(self._cluster) != self.watches(HTTP_ROUTE):
                    return
                await self.once()
                pause_seconds = self._jittered()
            except ApiError as error:
                self._on_result("error")
                pause_seconds = max(RETRY_SECONDS, min(error.retry_after or 0.0, self._period_seconds))
                log.warning("resync failed, again in %.0f s: %s", pause_seconds, error)

    def request_ended(self, code: str) -> None:
        """Take note of how a request ended; the first success after an outage brings the next resync forward."""
        now = asyncio.get_running_loop().time()
        if not code.isdecimal() or code.startswith("5"):
            self._failing_since = now if self._failing_since is None else self._failing_since
            return
        if self._failing_since is not None and now - self._failing_since >= OUTAGE_SECONDS:
            log.info(
                "the API server is back after %.0f s: reading everything anew", now - self._failing_since
            )
            self._recovered.set()
        self._failing_since = None

    def watches(self, kind: Kind) -> bool:
        """Whether the kind is among those that are read."""
        return any(watched.kind == kind for watched in self.watched)

    def age_in_periods(self) -> float:
        """How many periods ago the last resync succeeded."""
        if self._succeeded_at is None:
            return 0.0
        return (asyncio.get_running_loop().time() - self._succeeded_at) / self._period_seconds

    def _jittered(self) -> float:
        return self._period_seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  (no secret)


async def gateway_api_served(cluster: Cluster) -> bool:
    """Whether Gateways and HTTPRoutes are there to be used."""
    return await cluster.served(GATEWAY) and await cluster.served(HTTP_ROUTE)
