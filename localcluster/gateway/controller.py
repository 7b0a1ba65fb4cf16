"""The gateway's controller: looks at the API server, programs Envoy, and says what is in force."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

import aiohttp
import httpx

from localcluster.api import MERGE, Api, ApiError, Collection, now
from localcluster.gateway import admin
from localcluster.gateway.admin import EnvoyAdmin, EnvoyNotRunningError
from localcluster.gateway.statuses import InForce, StatusWrite, status_writes
from localcluster.gateway.translate import Translation, translate
from localcluster.gateway.world import CONTROLLER_NAME, GATEWAY_GROUP, Key, World, key_of
from localcluster.gateway.xds_files import XdsFiles
from localcluster.objects import Object

logger = logging.getLogger(__name__)

GATEWAY_API = f"/apis/{GATEWAY_GROUP}/v1"
GATEWAY_NAMESPACE = "gateway-system"
_SETTLE_SECONDS = 0.01
"""Changes that arrive together are programmed together."""
_POLL_SECONDS = 0.01
_PATIENCE_SECONDS = 3.0
_RETRY_SECONDS = 1.0


class Controller:
    """One control loop over all objects. Envoy's process is not its own: it may come, go and stay."""

    def __init__(self, api: Api, envoy: EnvoyAdmin, files: XdsFiles, http_port: int) -> None:
        self._api = api
        self._envoy = envoy
        self._files = files
        self._http_port = http_port
        self._changed = asyncio.Event()
        self._rejected_before: dict[str, int] = {}
        self._trouble = ""
        self._served: tuple[Translation, InForce] | None = None
        """What Envoy has all of: most changes of objects are none for it."""
        self._classes = api.follow(f"{GATEWAY_API}/gatewayclasses")
        self._gateways = api.follow(f"{GATEWAY_API}/gateways")
        self._routes = api.follow(f"{GATEWAY_API}/httproutes")
        self._services = api.follow("/api/v1/services")
        self._slices = api.follow("/apis/discovery.k8s.io/v1/endpointslices")

    async def run(self) -> None:
        """Run until cancelled. Nothing is written before every object has been listed once."""
        collections = (self._classes, self._gateways, self._routes, self._services, self._slices)
        async with asyncio.TaskGroup() as tasks:
            for collection in collections:
                tasks.create_task(self._follow(collection))
            for collection in collections:
                await collection.listed.wait()
            await self._create_defaults()
            while True:
                await self._changed.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
                self._changed.clear()
                try:
                    again = await self._reconcile()
                    self._tell("")
                except (ApiError, httpx.HTTPError, aiohttp.ClientError, EnvoyNotRunningError) as error:
                    self._tell(f"{type(error).__name__}: {error}".splitlines()[0])
                    again = True
                if again:
                    asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed.set)

    async def _follow(self, collection: Collection) -> None:
        async for _ in collection:
            self._changed.set()

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning("%s", trouble or "settled again")
            self._trouble = trouble

    async def _reconcile(self) -> bool:
        """Program one look at the API server and report on it; True if there is something left to do."""
        world = World(
            _by_key(self._classes),
            _by_key(self._gateways),
            _by_key(self._routes),
            _by_key(self._services),
            _by_key(self._slices),
        )
        translation = translate(world, self._files.layout)
        try:
            force = await self._in_force(translation)
        except EnvoyNotRunningError:
            # No request is being served, so the order of the files does not matter.
            self._files.write_clusters(translation, time.monotonic())
            self._files.write_routes(translation)
            raise
        return not await self._report(world, translation, force) or self._files.lingering()

    async def _in_force(self, translation: Translation) -> InForce:
        """What Envoy serves once it was told what differs from what it has."""
        if self._served is not None and translation.programs_as(self._served[0]):
            return self._served[1]
        self._served = None
        force = await self._program(translation)
        if _serves_all(translation, force) and not self._files.lingering():
            self._served = translation, force
        return force

    async def _create_defaults(self) -> None:
        while True:
            try:
                for path, item in default_objects(self._http_port):
                    if await self._api.create_if_absent(path, item):
                        logger.info("created %s %s", item["kind"], item["metadata"]["name"])
            except ApiError as error:
                logger.warning("cannot create the Gateway yet: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _program(self, translation: Translation) -> InForce:
        """Write what differs, each kind only when Envoy serves what it refers to; returns what is in force."""
        self._files.write_endpoints(translation)
        before = admin.rejected_counts(await self._envoy.stats())
        if self._files.write_clusters(translation, time.monotonic()):
            self._rejected_before["cds"] = before.get("cds", 0)
        if self._files.routes_differ(translation):
            force = await self._wait(translation, clusters_only=True)
            if not force.clusters or force.warming:
                return force
            self._rejected_before |= {name: n for name, n in before.items() if name != "cds"}
            self._files.write_routes(translation)
        return await self._wait(translation, clusters_only=False)

    async def _wait(self, translation: Translation, *, clusters_only: bool) -> InForce:
        """Wait a while until Envoy has taken or refused the versions written."""
        versions = self._files.versions(translation)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            stats = await self._envoy.stats()
            force, refusals = admin.in_force(stats, versions, self._rejected_before, {})
            if refusals and ("cds" in refusals or not clusters_only):
                errors = await self._envoy.listener_errors() if "lds" in refusals else {}
                force, _ = admin.in_force(stats, versions, self._rejected_before, errors)
                message = self._envoy.last_refusal()
                names = {"clusters" if name == "cds" else name for name in refusals - {"lds"}}
                return replace(force, refused=dict.fromkeys(names, message) | errors)
            if _serves_all(translation, force) or (clusters_only and force.clusters and not force.warming):
                if not clusters_only:
                    self._files.routes_settled(time.monotonic())
                    self._files.remove_orphans(translation)
                return force
            if time.monotonic() > deadline:
                return force
            await asyncio.sleep(_POLL_SECONDS)

    async def _report(self, world: World, translation: Translation, force: InForce) -> bool:
        """Write the statuses that changed; False if any could not be written yet."""
        settled = all(force.serves(name) or force.refusal(name) for name in translation.routes)
        for write in status_writes(world, translation, force, now()):
            settled &= await self._write(write)
        return settled

    async def _write(self, write: StatusWrite) -> bool:
        """Write a status; False if the object has changed since it was decided."""
        metadata = write.item["metadata"]
        scope = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
        path = f"{GATEWAY_API}{scope}/{write.plural}/{metadata['name']}/status"
        unchanged = {key: metadata[key] for key in ("resourceVersion", "uid")}
        body = {"metadata": unchanged, "status": write.status}
        return await self._api.call_unless({404, 409}, "PATCH", path, body, MERGE) is not None


def _serves_all(translation: Translation, force: InForce) -> bool:
    clusters = force.clusters and not force.warming
    ports = all(force.serves(name) for name in translation.routes)
    return clusters and ports and force.endpoints >= translation.endpoints.keys()


def _by_key(collection: Collection) -> dict[Key, Object]:
    return {key_of(item): item for item in collection.items.values()}


def default_objects(http_port: int) -> list[tuple[str, Object]]:
    """The GatewayClass `local` and the Gateway `local`, with the path that each is created at."""
    gateway_class: Object = {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "local"},
        "spec": {"controllerName": CONTROLLER_NAME},
    }
    namespace: Object = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": GATEWAY_NAMESPACE},
    }
    listener = {
        "name": "http",
        "port": http_port,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    gateway: Object = {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "Gateway",
        "metadata": {"name": "local", "namespace": GATEWAY_NAMESPACE},
        "spec": {"gatewayClassName": "local", "listeners": [listener]},
    }
    return [
        (f"{GATEWAY_API}/gatewayclasses", gateway_class),
        ("/api/v1/namespaces", namespace),
        (f"{GATEWAY_API}/namespaces/{GATEWAY_NAMESPACE}/gateways", gateway),
    ]
