"""The operator as one process: wires the parts, and runs until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from serving_api.names import OPERATOR
from serving_io.cluster import Cluster
from serving_io.endpoint import endpoint
from serving_io.errors import TooManyRequests, Unavailable
from serving_io.kinds import (
    CLUSTER_SERVING_RUNTIME,
    HTTP_ROUTE,
    INFERENCE_AUTOSCALER,
    INFERENCE_SERVICE,
    SERVING_RUNTIME,
)
from serving_io.lease import Lease
from serving_io.prometheus import Prometheus
from serving_operator.cache import Cache
from serving_operator.config import Config
from serving_operator.decide import decide
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.metrics import Metrics
from serving_operator.observe import Informer
from serving_operator.reconciler import Reconciler
from serving_operator.resync import Resync, gateway_api_served
from serving_operator.watched import CLUSTER_WATCHED, GATEWAY_WATCHED, WATCHED
from serving_operator.workqueue import WorkQueue
from serving_operator.world import Manifest

FINISH_SECONDS = 20.0
RETRY_SECONDS = 2.0
CRD_SECONDS = 5.0
STUCK_SECONDS = 600.0
IDLE_SECONDS = 300.0
MISSED_RESYNCS = 3.0

log = logging.getLogger("serving_operator")


class Operator:
    """One process: stands by for the Lease, then works until it is told to stop or something ends."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.metrics = Metrics()
        self.port = 0
        """The port that is listened on, once it is."""
        self._queue = WorkQueue(self.metrics)
        self._resync: Resync | None = None
        self._informer: Informer | None = None
        self._stopping = asyncio.Event()
        self.metrics.watch_queue(self._queue, config.workers)

    def stop(self) -> None:
        """Take no more keys, finish the running ones, release the Lease, end."""
        self._stopping.set()

    async def run(self) -> int:
        """Run; returns the exit code. 0: told to stop, or to be started anew. 1: something has failed."""
        config = self.config
        async with (
            endpoint(
                config.host,
                config.port,
                registry=self.metrics.registry,
                healthy=self.unhealthy,
                ready=self.unready,
            ) as self.port,
            await Cluster.connect(
                field_manager=OPERATOR, instance=config.identity, on_request=self.requested
            ) as cluster,
        ):
            log.info("listening on %s:%d as %s", config.host, self.port, config.identity)
            lease = Lease(
                cluster,
                name=OPERATOR,
                namespace=config.lease_namespace,
                identity=config.identity,
                on_change=self.metrics.leads,
            )
            stopped = asyncio.create_task(self._stopping.wait(), name="stop")
            async with _cancelled_at_the_end(stopped):
                standing_by = asyncio.create_task(self._lead(lease, cluster, stopped), name="lead")
                async with _cancelled_at_the_end(standing_by):
                    await asyncio.wait({standing_by, stopped}, return_when=asyncio.FIRST_COMPLETED)
                    if not lease.is_held and not standing_by.done():
                        return 0  # told to stop while standing by
                    return await standing_by

    async def _lead(self, lease: Lease, cluster: Cluster, stopped: asyncio.Task[bool]) -> int:
        try:
            async with lease.held() as lost:
                return await self._work(cluster.guarded_by(lease.check), lost, stopped)
        finally:
            # Only now: the successor need not wait for it.
            if self._informer is not None:
                await self._informer.join()

    async def _work(self, cluster: Cluster, lost: asyncio.Task[None], stopped: asyncio.Task[bool]) -> int:
        config, cache, queue = self.config, Cache(self.config.settings.route), self._queue
        preparing = asyncio.create_task(self._prepare(cluster, cache), name="prepare")
        async with _cancelled_at_the_end(preparing):
            await asyncio.wait({preparing, lost, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not preparing.done():
                return int(lost.done())
            self._resync = resync = preparing.result()
        routes_served = resync.watches(HTTP_ROUTE)
        if not routes_served:
            log.warning("the Gateway API is not installed: services get no routes until its CRDs are")

        def seen(manifest: Manifest, gone: bool) -> None:
            for key in cache.drop(manifest) if gone else cache.put(manifest):
                queue.add(key)

        prometheus = Prometheus(config.prometheus) if config.prometheus else None
        evidence = EvidenceReader(prometheus, matcher=config.prometheus_matcher, changed=queue.add)
        reconciler = Reconciler(
            cluster=cluster,
            cache=cache,
            queue=queue,
            settings=config.settings,
            metrics=self.metrics,
            decide=decide,
            routes_served=routes_served,
            evidence=evidence,
        )
        self._informer = informer = Informer(resync.watched, config.namespaces, seen)
        watching = informer.start()
        working = asyncio.create_task(queue.run(reconciler.reconcile, workers=config.workers), name="work")
        resyncing = asyncio.create_task(resync.keep(), name="resync")
        reading = asyncio.create_task(evidence.run(), name="evidence")
        log.info("working: %d services, %d workers", len(cache.service_keys()), config.workers)
        try:
            ends: set[asyncio.Future[Any]] = {lost, stopped, watching, working, resyncing, reading}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            code = _exit_code(
                lost=lost, watching=watching, working=working, resyncing=resyncing, reading=reading
            )
            queue.close()
            with contextlib.suppress(TimeoutError):
                if lost.done():
                    working.cancel()  # another process may lead by now
                async with asyncio.timeout(FINISH_SECONDS):
                    await asyncio.gather(working, return_exceptions=True)
            return code
        finally:
            informer.stop()
            for task in (working, resyncing, reading):
                task.cancel()
            await asyncio.gather(working, resyncing, reading, return_exceptions=True)
            if prometheus is not None:
                prometheus.close()

    async def _prepare(self, cluster: Cluster, cache: Cache) -> Resync:
        """Read everything once, as soon as our kinds are served.

        Nothing is decided before: a restart that saw services before their children would write each of them.
        """
        while True:
            try:
                kinds = (INFERENCE_SERVICE, INFERENCE_AUTOSCALER, SERVING_RUNTIME, CLUSTER_SERVING_RUNTIME)
                missing = [kind.name for kind in kinds if not await cluster.served(kind)]
                if missing:
                    log.error("no CRD of %s is installed; waiting: kubectl apply -k crds", ", ".join(missing))
                    await asyncio.sleep(CRD_SECONDS)
                    continue
                gateways = GATEWAY_WATCHED if await gateway_api_served(cluster) else ()
                resync = Resync(
                    cluster=cluster,
                    cache=cache,
                    queue=self._queue,
                    watched=(*WATCHED, *gateways, *(() if self.config.namespaces else CLUSTER_WATCHED)),
                    namespaces=self.config.namespaces,
                    period_seconds=self.config.resync_seconds,
                    on_result=self.metrics.resynced,
                    on_behind=self.metrics.behind,
                )
                await resync.once()
            except (Unavailable, TooManyRequests) as error:
                log.warning("the API server does not answer yet: %s", error)
                await asyncio.sleep(error.retry_after or RETRY_SECONDS)
            else:
                return resync

    def requested(self, method: str, code: str, seconds: float) -> None:
        """Take note of a request to the API server that has ended."""
        self.metrics.requested(method, code, seconds)
        if self._resync is not None:
            self._resync.request_ended(code)

    def unhealthy(self) -> str | None:
        """Say that the work has stopped although it could go on; None if all is well."""
        if (seconds := self._queue.longest_running_seconds()) > STUCK_SECONDS:
            return f"one service has been worked on for {seconds:.0f} s"
        if (seconds := self._queue.idle_while_waiting_seconds()) > IDLE_SECONDS:
            return f"services wait and none has been finished for {seconds:.0f} s"
        if self._resync is not None and (periods := self._resync.age_in_periods()) > MISSED_RESYNCS:
            return f"the last resync was {periods:.1f} periods ago"
        return None

    def unready(self) -> str | None:
        """Say why the process could not take over at once; None while it leads or stands by."""
        return "stopping" if self._stopping.is_set() else None


def _exit_code(
    *,
    lost: asyncio.Task[None],
    watching: asyncio.Future[None],
    working: asyncio.Task[None],
    resyncing: asyncio.Task[None],
    reading: asyncio.Task[None],
) -> int:
    """Say what has ended, and how the process is to end for it."""
    if lost.done():
        log.error("leadership is lost")
        return 1
    for task, what in (
        (watching, "a watch"),
        (working, "the work"),
        (resyncing, "the resync"),
        (reading, "the reading of evidence"),
    ):
        if task.done() and task.exception() is not None:
            log.error("%s has failed: %s", what, task.exception())
            return 1
    if watching.done():
        log.error("the watches have ended")
        return 1
    if resyncing.done():
        log.info("the Gateway API has come or gone: ending, to be started anew with it")
    return 0


@contextlib.asynccontextmanager
async def _cancelled_at_the_end(task: asyncio.Task[Any]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
