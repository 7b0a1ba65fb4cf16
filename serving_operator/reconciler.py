"""One pass over one service: look, decide, write. The file to read first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from serving_api.names import ServiceKey
from serving_api.revision import revision_of
from serving_api.service import InferenceService
from serving_io.cluster import Cluster
from serving_io.errors import NotFound
from serving_io.kinds import HTTP_ROUTE, INFERENCE_SERVICE, SERVICE, kind_of
from serving_operator.asked import Heartbeat, Quotas, StorageSecrets
from serving_operator.cache import Cache
from serving_operator.children.route import weights
from serving_operator.evidence.questions import wanted
from serving_operator.evidence.reader import EvidenceReader
from serving_operator.executor import Executor, Outdated, Refused, ServiceGone
from serving_operator.metrics import Metrics
from serving_operator.rollout.state import State
from serving_operator.status.events import transitions
from serving_operator.workqueue import WorkQueue
from serving_operator.world import Manifest, ObjectId, Plan, Settings, World

AGAIN_SECONDS = 0.02
AGAIN_CAP_SECONDS = 10.0
REFUSED_SECONDS = 15.0
PROGRESS = tuple(field.name for field in fields(State))
"""Fields of the status in which a rollout is recorded."""
COMMANDS = "commands"

Decide = Callable[[World, Settings, datetime], Plan]

log = logging.getLogger(__name__)


class Reconciler:
    """Brings services from what is to what is wanted, one call of `reconcile` at a time for each."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        cache: Cache,
        queue: WorkQueue,
        settings: Settings,
        metrics: Metrics,
        decide: Decide,
        routes_served: bool,
        evidence: EvidenceReader | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._queue = queue
        self._settings = settings
        self._metrics = metrics
        self._decide = decide
        self._heartbeat = Heartbeat(cluster, settings.namespace)
        self._quotas = Quotas(cluster)
        self._secrets = StorageSecrets(cluster)
        self._routes_served = routes_served
        self._evidence = evidence or EvidenceReader(None)
        self._now = now
        self._executor = Executor(cluster, cache)
        self._since: dict[ServiceKey, Mapping[str, datetime]] = {}
        self._refused: dict[ServiceKey, dict[ObjectId, str]] = {}
        self._outdated: dict[ServiceKey, int] = {}

    async def reconcile(self, key: ServiceKey) -> float | None:
        """Do what is to be done now. Returns the seconds after which to look again, or None to wait for an event."""
        service = self._cache.service(key)
        if service is None or service["metadata"].get("deletionTimestamp"):
            # Children carry a controller reference: the garbage collector finishes.
            self._forget(key)
            return None
        try:
            again = await self._pass(key, service)
        except Outdated as outdated:
            log.info("%s: %s; deciding again", key, outdated)
            self._outdated[key] = times = self._outdated.get(key, 0) + 1
            return float(min(AGAIN_CAP_SECONDS, AGAIN_SECONDS * 2 ** min(times, 16)))
        except ServiceGone as gone:
            log.info("%s: nothing to do, %s", key, gone)
            if self._cache.service(key) is None:
                # A live read has told it; the watch, which tells it later, wakes nobody any more.
                self._forget(key)
            return None
        self._outdated.pop(key, None)
        return again

    async def _pass(self, key: ServiceKey, service: Manifest) -> float | None:
        await self._look_at_strangers(key)
        active = is_active(service)
        renewed = await self._heartbeat.renewed(self._now()) if active else None
        quotas = await self._quotas.of(key.namespace, self._now()) if active else ()
        secret = await self._secrets.of(service, self._now())

        def look() -> Plan:
            world = self._cache.world(
                key,
                routes_served=self._routes_served,
                autoscaler_renewed=renewed,
                quotas=quotas,
                refused=self._refused.get(key),
            )
            if world is None:
                raise ServiceGone(f"{key} is gone")
            if _asks(world.service) != _asks(service):
                raise Outdated(f"{key} was edited while others' state was asked for")
            now = self._now()
            self._evidence.track(key, wanted(world))
            world = replace(
                world,
                since=self._since.get(key, {}),
                evidence=self._evidence.evidence(key),
                storage_secret=secret,
            )
            plan = self._decide(world, self._settings, now)
            self._since[key] = plan.since
            return plan

        plan = look()
        try:
            changes = await self._executor.execute(key, plan)
        except Refused as refused:
            return await self._tell_refusal(key, refused, look)
        self._refused.pop(key, None)
        self._show(key)
        if changes:
            # What was written is in the cache already; what follows from it is for the next pass to decide.
            self._queue.add(key)
        return plan.requeue_after_seconds

    async def _tell_refusal(self, key: ServiceKey, refused: Refused, look: Callable[[], Plan]) -> float:
        """Let status say what the API server refused; the writes after the refused one stay undone."""
        log.warning("%s: refused: %s", key, refused)
        self._refused.setdefault(key, {})[refused.identity] = refused.error.message
        plan = look()
        if refused.identity.kind != INFERENCE_SERVICE.name:
            live = self._cache.service(key) or {}
            await self._executor.execute(key, without_progress(plan, refused.identity, live))
        self._show(key)
        return REFUSED_SECONDS

    async def _look_at_strangers(self, key: ServiceKey) -> None:
        """Read again what is in the way of a child and that no watch shows."""
        for identity, manifest in self._cache.memory.strangers(key).items():
            try:
                live = await self._cluster.get(kind_of(manifest), identity.name, key.namespace)
            except NotFound:
                self._cache.memory.forget_stranger(key, identity)
            else:
                self._cache.memory.remember_stranger(key, live)

    def _show(self, key: ServiceKey) -> None:
        service = self._cache.service(key)
        if service is None:
            return
        world = self._cache.world(key, routes_served=self._routes_served)
        route = world.objects.get(ObjectId(HTTP_ROUTE.name, key.name)) if world else None
        self._metrics.service_seen(
            key, service.get("status") or {}, weights(route) if route else {}, self._evidence.evidence(key)
        )

    def _forget(self, key: ServiceKey) -> None:
        self._since.pop(key, None)
        self._evidence.track(key, None)
        self._refused.pop(key, None)
        self._outdated.pop(key, None)
        self._queue.forget(key)
        if self._cache.service(key) is None:
            self._cache.memory.forget_service(key)
        self._metrics.service_gone(key)


def without_progress(plan: Plan, refused: ObjectId, service: Manifest) -> Plan:
    """What is left of a plan one write of which is refused: the status, without what presumes that traffic moved.

    Commands stay: they are recorded before they act. One that begins an attempt is recorded with it, or not at all.
    """
    carries_traffic = refused in (
        ObjectId(HTTP_ROUTE.name, service["metadata"]["name"]),
        ObjectId(SERVICE.name, service["metadata"]["name"]),
    )
    if plan.status is None or not carries_traffic:
        return replace(plan, writes=())
    was = service.get("status") or {}
    same_attempt = (plan.status.get("canary") or {}).get("id") == (was.get("canary") or {}).get("id")
    withheld = [key for key in PROGRESS if key != COMMANDS or not same_attempt]
    told = {key: value for key, value in plan.status.items() if key not in withheld}
    told |= {key: was[key] for key in withheld if key in was}
    return replace(plan, writes=(), status=told, events=transitions(was, told, service))


def _asks(service: Manifest) -> tuple[object, ...]:
    """What the user asks for: what is read of others for a decision is read for that."""
    metadata = service["metadata"]
    return metadata.get("uid"), metadata.get("generation"), metadata.get("labels")


def is_active(service: Manifest) -> bool:
    """Whether a rollout is under way or may begin, or the service lacks its need, so that others' state matters to it."""
    status = service.get("status") or {}
    stable = (status.get("stable") or {}).get("revision")
    conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
    if status.get("canary") or not stable or conditions.get("Ready") != "True":
        return True
    if status.get("observedGeneration") != service["metadata"].get("generation"):
        return True
    try:
        wanted = revision_of(InferenceService.parse(service).spec.predictor)
    except ValidationError:
        return False
    return bool(wanted != stable)
