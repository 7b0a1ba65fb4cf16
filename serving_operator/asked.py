"""What is asked of the API server only while it matters, instead of being watched, and not too often."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from serving_api.names import AUTOSCALER
from serving_io.cluster import Cluster
from serving_io.errors import NotFound
from serving_io.kinds import LEASE, RESOURCE_QUOTA
from serving_operator.world import Manifest

FRESH_FOR = timedelta(seconds=10)


class Heartbeat:
    """Whether the autoscaler lives, by its Lease in `namespace`."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._lock = asyncio.Lock()
        self._read_at: datetime | None = None
        self._renewed: datetime | None = None

    async def renewed(self, now: datetime) -> datetime | None:
        """Return when the autoscaler last renewed its Lease; None if there is none."""
        async with self._lock:
            if self._read_at is None or abs(now - self._read_at) >= FRESH_FOR:
                try:
                    lease = await self._cluster.get(LEASE, AUTOSCALER, self._namespace)
                except NotFound:
                    self._renewed = None
                else:
                    self._renewed = _time((lease.get("spec") or {}).get("renewTime"))
                self._read_at = now
            return self._renewed


class Quotas:
    """The ResourceQuotas of namespaces."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: dict[str, tuple[datetime, tuple[Manifest, ...]]] = {}

    async def of(self, namespace: str, now: datetime) -> tuple[Manifest, ...]:
        """Return the ResourceQuotas of a namespace, at most ten seconds old."""
        read_at, quotas = self._read.get(namespace, (None, ()))
        if read_at is None or abs(now - read_at) >= FRESH_FOR:
            quotas = tuple((await self._cluster.list(RESOURCE_QUOTA, namespace)).items)
            self._read[namespace] = (now, quotas)
        return quotas


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
