"""A service with all that is its own, read from a cluster into the same values that the operator decides from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from serving_api.names import ServiceKey
from serving_io.cluster import Cluster
from serving_io.errors import Forbidden, NotFound
from serving_io.kinds import GATEWAY, HTTP_ROUTE, INFERENCE_SERVICE
from serving_operator.asked import Heartbeat, Quotas
from serving_operator.cache import Cache
from serving_operator.routes import resolved, with_defaults
from serving_operator.watched import CLUSTER_WATCHED, GATEWAY_WATCHED, WATCHED, Watched
from serving_operator.world import DEFAULT_SETTINGS, Manifest, Settings, World

CHILDREN: Sequence[Watched] = tuple(watched for watched in WATCHED if watched.kind != INFERENCE_SERVICE)


async def service(cluster: Cluster, key: ServiceKey) -> Manifest | None:
    """Return the InferenceService, or None if there is none of that name. Raises `ApiError`."""
    if not await cluster.served(INFERENCE_SERVICE):
        # A plain 404 would say the same of a service that is not there.
        raise NotFound(404, "NotFound", "the server could not find the requested resource")
    try:
        return await cluster.get(INFERENCE_SERVICE, key.name, key.namespace)
    except NotFound:
        return None


async def observe(cluster: Cluster, manifest: Manifest, settings: Settings = DEFAULT_SETTINGS) -> World:
    """Return the world of a service; `manifest` stands for it, as it is or as it is to be. Raises `ApiError`."""
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    key, now, cache = ServiceKey(namespace, name), datetime.now(UTC), Cache(settings.route)
    cache.put(manifest)
    routes_served = await cluster.served(GATEWAY) and await cluster.served(HTTP_ROUTE)
    routes = (
        tuple(watched for watched in GATEWAY_WATCHED if watched.kind == HTTP_ROUTE) if routes_served else ()
    )
    for watched in (*CHILDREN, *routes):
        listing = await cluster.list(watched.kind, namespace, label_selector=watched.selector)
        for item in listing.items:
            cache.put(item)
    for watched in CLUSTER_WATCHED:
        try:
            shared = await cluster.list(watched.kind, None, label_selector=watched.selector)
        except (NotFound, Forbidden):
            continue  # who may not read them sees the runtimes of the namespace and the built-in one
        for item in shared.items:
            cache.put(item)
    asked = with_defaults(manifest["spec"].get("route") or {}, manifest["metadata"], settings.route)
    for parent in (asked.get("parentRefs") or ()) if routes_served else ():
        try:
            gateway = await cluster.get(GATEWAY, parent["name"], parent.get("namespace") or namespace)
        except (NotFound, Forbidden):
            continue  # its listeners only tell the URL
        cache.put(gateway)
    world = cache.world(
        key,
        routes_served=routes_served,
        autoscaler_renewed=await _renewed(cluster, settings.namespace, now),
        quotas=await Quotas(cluster).of(namespace, now),
    )
    assert world is not None
    return resolved(world, settings.route)


async def _renewed(cluster: Cluster, system_namespace: str, now: datetime) -> datetime | None:
    try:
        return await Heartbeat(cluster, system_namespace).renewed(now)
    except Forbidden:
        # Who may not read the Lease does not see it; the operator does.
        return now
