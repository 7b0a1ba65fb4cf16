"""Leadership by a Lease that is written with optimistic locking only.

No clock but the local monotonic one decides: a holder is taken for gone when its Lease has not changed
for a whole lease duration *as seen from here*, so skewed clocks cannot make two leaders. A leader counts
its term from the *start* of its last successful renewal, which is never later than what others observe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

from serving_io.cluster import Cluster, Manifest
from serving_io.errors import ApiError, Conflict, NotFound, NotLeader
from serving_io.kinds import LEASE
from serving_io.transport import NOT_TRUSTED

NOT_TRUSTED_SECONDS = 60.0
"""How long who stands by puts up with a certificate of an authority that it does not know."""

log = logging.getLogger(__name__)


class Lease:
    """One candidate for one Lease. Give it a `cluster` without `before_write`: its own writes come first.

    lease = Lease(cluster, name="serving-operator", namespace="serving-system", identity=pod_name)
    async with lease.held() as lost:                # waits for its turn
        writer = cluster.guarded_by(lease.check)    # every write through it is checked
        await first_to_end(work(writer), lost)      # `lost` ends when leadership does
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        name: str,
        namespace: str,
        identity: str,
        duration_seconds: float = 15.0,
        renew_deadline_seconds: float = 10.0,
        retry_seconds: float = 2.0,
        on_change: Callable[[bool], None] | None = None,
    ) -> None:
        if not retry_seconds < renew_deadline_seconds < duration_seconds:
            raise ValueError(
                f"Lease {name}: retry_seconds ({retry_seconds}) < renew_deadline_seconds "
                f"({renew_deadline_seconds}) < duration_seconds ({duration_seconds}) must hold"
            )
        self.name = name
        self.namespace = namespace
        self.identity = identity
        """Unique to this process: a second process with the same identity would share the Lease."""
        self._cluster = cluster
        self._duration_seconds = duration_seconds
        self._renew_deadline_seconds = renew_deadline_seconds
        self._retry_seconds = retry_seconds
        self._on_change = on_change
        self._renewed_at: float | None = None
        self._held: Manifest | None = None  # the Lease as this process wrote it last
        self._not_trusted_since: float | None = None
        self._seen: tuple[Any, float] | None = None  # the holder's record, and until when it may stay so

    @property
    def is_held(self) -> bool:
        """Whether this process leads, by its own clock."""
        return self._renewed_at is not None and _now() - self._renewed_at < self._renew_deadline_seconds

    def check(self) -> None:
        """Raise `NotLeader` unless the last renewal started less than the renew deadline ago."""
        if self._renewed_at is None:
            raise NotLeader(f"{self.identity} does not hold the Lease {self.namespace}/{self.name}")
        age = _now() - self._renewed_at
        if age >= self._renew_deadline_seconds:
            raise NotLeader(
                f"{self.identity} last renewed the Lease {self.namespace}/{self.name} {age:.1f} s ago"
            )

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[asyncio.Task[None]]:
        """Wait until this process leads, keep the Lease renewed, release it at the end.

        Yields a task that ends when leadership is lost; end the process then. Raises `ApiError` where the server's
        certificate has not been trusted for a minute: its authority may be a new one, which only a new process reads.
        """
        while not await self._attempt(self._acquire):  # noqa: ASYNC110  (polling is what a Lease offers)
            await asyncio.sleep(self._pause_seconds())
        log.info("%s leads by the Lease %s/%s", self.identity, self.namespace, self.name)
        self._tell(True)
        lost = asyncio.create_task(self._keep(), name=f"lease {self.name}")
        try:
            yield lost
        finally:
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)
            await self._release()
            self._tell(False)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._retry_seconds)
            await self._attempt(self._renew)
            if not self.is_held:
                self._renewed_at = None
                log.error("%s lost the Lease %s/%s", self.identity, self.namespace, self.name)
                self._tell(False)
                return

    async def _attempt(self, step: Callable[[], Any]) -> bool:
        """Whether `step` wrote the Lease. No answer in half the renew deadline counts as no."""
        started = _now()
        try:
            async with asyncio.timeout(self._renew_deadline_seconds / 2):
                written = await step()
        except Conflict:
            self._held = None  # somebody wrote in between: read again before the next write
            return False
        except (ApiError, TimeoutError) as error:
            log.warning("Lease %s/%s: %s", self.namespace, self.name, error or "no answer in time")
            self._bear(error)
            return False
        self._not_trusted_since = None
        if written is None:
            return False
        self._held, self._renewed_at = written, started
        return True

    def _bear(self, error: ApiError | TimeoutError) -> None:
        if not isinstance(error, ApiError) or error.reason != NOT_TRUSTED:
            self._not_trusted_since = None
        elif self._not_trusted_since is None:
            self._not_trusted_since = _now()
        elif _now() - self._not_trusted_since >= NOT_TRUSTED_SECONDS:
            raise error

    async def _acquire(self) -> Manifest | None:
        try:
            lease = await self._cluster.get(LEASE, self.name, self.namespace)
        except NotFound:
            return await self._cluster.create(self._record({"metadata": self._metadata()}, transitions=0))
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        transitions = int(spec.get("leaseTransitions") or 0)
        if holder in ("", self.identity):
            return await self._cluster.replace(self._record(lease, transitions + (holder == "")))
        patience = max(self._duration_seconds, float(spec.get("leaseDurationSeconds") or 0))
        if self._seen is None or self._seen[0] != spec:
            self._seen = (spec, _now() + patience)
            return None
        if _now() < self._seen[1]:
            return None
        log.info("Lease %s/%s: %s has not renewed for %s s", self.namespace, self.name, holder, patience)
        return await self._cluster.replace(self._record(lease, transitions + 1))

    def _pause_seconds(self) -> float:
        """How long to wait before the next attempt: a retry, or less where the holder's time is up before that."""
        left = 0.0 if self._seen is None else self._seen[1] - _now()
        return min(self._retry_seconds, left) if left > 0 else self._retry_seconds

    async def _renew(self) -> Manifest | None:
        lease = self._held or await self._cluster.get(LEASE, self.name, self.namespace)
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") != self.identity:
            self._renewed_at = None  # taken over: nothing to wait for
            return None
        return await self._cluster.replace(self._record(lease, int(spec.get("leaseTransitions") or 0)))

    async def _release(self) -> None:
        """Leave the Lease without a holder, so that the successor need not wait."""
        if not self.is_held:
            return
        try:
            async with asyncio.timeout(self._renew_deadline_seconds / 2):
                lease = await self._cluster.get(LEASE, self.name, self.namespace)
                if (lease.get("spec") or {}).get("holderIdentity") == self.identity:
                    self._renewed_at = None
                    released = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._cluster.replace({**lease, "spec": released})
        except (ApiError, TimeoutError) as error:
            log.warning(
                "Lease %s/%s could not be released: %s", self.namespace, self.name, error or "no answer"
            )
        finally:
            self._renewed_at = None

    def _metadata(self) -> Manifest:
        return {"name": self.name, "namespace": self.namespace}

    def _record(self, lease: Manifest, transitions: int) -> Manifest:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        before = lease.get("spec") or {}
        same = before.get("holderIdentity") == self.identity
        spec = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._duration_seconds),
            "acquireTime": before.get("acquireTime", now) if same else now,
            "renewTime": now,
            "leaseTransitions": transitions,
        }
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": lease["metadata"],
            "spec": spec,
        }

    def _tell(self, leads: bool) -> None:
        if self._on_change is not None:
            self._on_change(leads)


def _now() -> float:
    # The loop's clock is the monotonic one; virtual in tests.
    return asyncio.get_running_loop().time()
