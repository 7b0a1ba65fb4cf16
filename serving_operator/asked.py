"""What is asked of the API server only while it matters, instead of being watched, and not too often."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TypeVar

from serving_api.names import AUTOSCALER, STORAGE_LABEL
from serving_io.cluster import Cluster
from serving_io.errors import ApiError, Forbidden, NotFound
from serving_io.kinds import LEASE, RESOURCE_QUOTA, SECRET
from serving_operator.world import Manifest, SecretState

log = logging.getLogger(__name__)
_K = TypeVar("_K")
_V = TypeVar("_V")

FRESH_FOR = timedelta(seconds=10)


class Heartbeat:
    """Whether the autoscaler lives, by its Lease in `namespace`.

    The time that the Lease states is by the autoscaler's clock, and believed in the first look only: afterwards what
    counts is when, by ours, it was seen to change.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._lock = asyncio.Lock()
        self._read_at: datetime | None = None
        self._stated: datetime | None = None
        self._renewed: datetime | None = None

    async def renewed(self, now: datetime) -> datetime | None:
        """Return when, by our clock, the autoscaler is known to have renewed its Lease last; None if there is none.

        What cannot be read is taken to be as it was: an abort needs no autoscaler.
        """
        async with self._lock:
            if self._read_at is None or abs(now - self._read_at) >= FRESH_FOR:
                try:
                    lease = await self._cluster.get(LEASE, AUTOSCALER, self._namespace)
                    stated = _time((lease.get("spec") or {}).get("renewTime"))
                except NotFound:
                    stated = None
                except ApiError as error:
                    log.warning("the autoscaler's Lease cannot be read: %s", error)
                    return self._renewed
                self._stated, self._renewed = stated, self._by_our_clock(stated, now)
                self._read_at = now
            return self._renewed

    def _by_our_clock(self, stated: datetime | None, now: datetime) -> datetime | None:
        if stated is None:
            return None
        if self._stated is None or self._renewed is None or self._read_at is None:
            return min(stated, now)
        if stated == self._stated:
            return self._renewed
        # Nobody looks while no rollout asks: how much later it states to have lived holds by any clock.
        return min(now, max(self._read_at, self._renewed + (stated - self._stated)))


class Quotas:
    """The ResourceQuotas of namespaces."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: dict[str, tuple[datetime, tuple[Manifest, ...]]] = {}

    async def of(self, namespace: str, now: datetime) -> tuple[Manifest, ...]:
        """Return the ResourceQuotas of a namespace, at most ten seconds old, or as they were read last."""
        read_at, quotas = self._read.get(namespace, (None, ()))
        if read_at is None or abs(now - read_at) >= FRESH_FOR:
            try:
                quotas = tuple((await self._cluster.list(RESOURCE_QUOTA, namespace)).items)
            except ApiError as error:
                log.warning("the ResourceQuotas of %s cannot be read: %s", namespace, error)
                return quotas
            self._read = _fresh(self._read, now) | {namespace: (now, quotas)}
        return quotas


class StorageSecrets:
    """Whether Secrets are labelled for model downloads. Of a Secret only the metadata is asked for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._read: dict[tuple[str, str], tuple[datetime, SecretState]] = {}

    async def of(self, service: Manifest, now: datetime) -> SecretState | None:
        """Return the state of the Secret that the service's storage names, at most ten seconds old; None if none."""
        model = ((service.get("spec") or {}).get("predictor") or {}).get("model") or {}
        name = (model.get("storage") or {}).get("secretName")
        if not name:
            return None
        place = (service["metadata"]["namespace"], name)
        read_at, found = self._read.get(place, (None, None))
        if found is None or read_at is None or abs(now - read_at) >= FRESH_FOR:
            found = await self._ask(*place)
            self._read = _fresh(self._read, now) | {place: (now, found)}
        return found

    async def _ask(self, namespace: str, name: str) -> SecretState:
        try:
            metadata = await self._cluster.metadata(SECRET, name, namespace)
        except NotFound:
            return "Missing"
        except Forbidden:
            return "Unreadable"
        return "Labelled" if (metadata.get("labels") or {}).get(STORAGE_LABEL) == "true" else "Unlabelled"


def _fresh(read: dict[_K, tuple[datetime, _V]], now: datetime) -> dict[_K, tuple[datetime, _V]]:
    """What is not read again yet: of namespaces that are gone nothing is kept."""
    return {key: entry for key, entry in read.items() if abs(now - entry[0]) < FRESH_FOR}


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
