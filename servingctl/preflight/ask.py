"""Reads the facts: from the API server, and from Prometheus. Whatever may not be read is told as such."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from autoscaler.signals.rules import recording_rules
from serving_api.names import AUTOSCALER, OPERATOR, revision_name
from serving_io.cluster import Cluster, Manifest
from serving_io.errors import Forbidden, NotFound, SignalUnavailable
from serving_io.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE,
    INFERENCE_AUTOSCALER,
    INFERENCE_SERVICE,
    LEASE,
    SERVING_RUNTIME,
    SUBJECT_ACCESS_REVIEW,
    Kind,
)
from serving_io.prometheus import Prometheus
from servingctl.configured import Configured
from servingctl.preflight import installation, rights, route
from servingctl.preflight.finding import Finding, Unasked
from servingctl.preflight.rights import Right
from servingctl.preflight.signals import Answer, Reading, Series, Signal, Target
from servingctl.preflight.watched import Watched, watched

AT_ONCE = 8
A_FEW = 5
OUR_KINDS = (INFERENCE_SERVICE, INFERENCE_AUTOSCALER, SERVING_RUNTIME, CLUSTER_SERVING_RUNTIME)
T = TypeVar("T")


async def installed(cluster: Cluster, system_namespace: str, told: Configured) -> list[Finding]:
    """Look at CRDs, Leases, rights and the Gateway API."""
    names = list(installation.definitions())
    crds = await _together(_get(cluster, CUSTOM_RESOURCE_DEFINITION, name) for name in names)
    served = {f"{kind.plural}.{kind.group}": await cluster.served(kind) for kind in OUR_KINDS}
    leases = await _together(_get(cluster, LEASE, name, system_namespace) for name in (OPERATOR, AUTOSCALER))
    has_routes = await cluster.served(GATEWAY) and await cluster.served(HTTP_ROUTE)
    classes = await _list(cluster, GATEWAY_CLASS) if has_routes else []
    deployments = await _together(
        _get(cluster, DEPLOYMENT, name, system_namespace) for name in (OPERATOR, AUTOSCALER)
    )
    stated = Watched(tuple(told.configuration.namespaces), "" if told.is_known else told.source)
    watches = {
        name: watched(deployment, stated)
        for name, deployment in zip((OPERATOR, AUTOSCALER), deployments, strict=True)
    }
    asked = rights.needed(watches)
    lacking = await _together(
        _lacking(cluster, right, watches[right.program].namespaces, system_namespace) for right in asked
    )
    return [
        *installation.crds(dict(zip(names, crds, strict=True)), served),
        *installation.leases(
            dict(zip((OPERATOR, AUTOSCALER), leases, strict=True)), datetime.now(UTC), system_namespace
        ),
        *rights.findings(dict(zip(asked, lacking, strict=True)), watches, system_namespace),
        *installation.gateway_api(has_routes, classes),
    ]


async def routed(cluster: Cluster, service: Manifest, told: Configured) -> list[Finding]:
    """Look at the Gateways of a service's route; nothing where the Gateway API is not installed."""
    if not (await cluster.served(GATEWAY) and await cluster.served(HTTP_ROUTE)):
        return []
    named = route.parents(service, told.configuration.route, told.source, told.is_known)
    if isinstance(named, Finding):
        return [named]
    gateways = await _together(_get(cluster, GATEWAY, name, namespace) for namespace, name in named.keys)
    names = sorted({found["spec"]["gatewayClassName"] for found in gateways if isinstance(found, dict)})
    classes = await _together(_get(cluster, GATEWAY_CLASS, name) for name in names)
    return route.findings(
        named, dict(zip(named.keys, gateways, strict=True)), dict(zip(names, classes, strict=True))
    )


async def target_of(cluster: Cluster, service: Manifest) -> Target:
    """Return what there is of a service: its Deployments, their ready pods, and where its load is read."""
    metadata, status = service["metadata"], service.get("status") or {}
    revisions = [(status.get(role) or {}).get("revision") for role in ("stable", "canary")]
    names = tuple(revision_name(metadata["name"], revision) for revision in revisions if revision)
    profiles, ready = [], 0
    for name in names:
        autoscaler = await _get(cluster, INFERENCE_AUTOSCALER, name, metadata["namespace"])
        if isinstance(autoscaler, dict):
            profiles.append(str(autoscaler["spec"]["signals"].get("profile") or ""))
        deployment = await _get(cluster, DEPLOYMENT, name, metadata["namespace"])
        if isinstance(deployment, dict):
            ready += int((deployment.get("status") or {}).get("readyReplicas") or 0)
    spec = service["spec"]
    return Target(
        namespace=metadata["namespace"],
        name=metadata["name"],
        profiles=tuple(profiles),
        deployments=names,
        ready_pods=ready,
        threshold_milliseconds=(spec.get("objective") or {}).get("thresholdMilliseconds"),
        evidence=((spec.get("rollout") or {}).get("analysis") or {}).get("source") or "",
    )


async def newest_scrape(prometheus: Prometheus) -> float | None:
    """Return how long ago anything was scraped, in seconds; None if nothing ever was. Raises `SignalUnavailable`."""
    answer = await prometheus.query("topk(1, timestamp(up{}))")
    return max((time.time() - sample.value for sample in answer), default=None)


async def readings(prometheus: Prometheus, signals: Sequence[Signal], matcher: str) -> list[Reading]:
    """Ask for each signal what there is of the service and, where that is nothing, what there is of others."""
    return await _together(_reading(prometheus, signal, matcher) for signal in signals)


async def recorded(prometheus: Prometheus) -> tuple[str, Reading]:
    """Ask for the first series that our recording rules make."""
    name = str(recording_rules()["groups"][0]["rules"][0]["record"])
    return name, Reading(await _ask(prometheus, f"topk(1, timestamp({name}{{}}))"))


async def _reading(prometheus: Prometheus, signal: Signal, matcher: str) -> Reading:
    first, *further = [f"timestamp({selector})" for selector in signal.selectors(matcher)]
    own = await _ask(prometheus, first if signal.deployments else f"topk({A_FEW}, {first})")
    for promql in () if own else further:
        if others := await _ask(prometheus, f"topk({A_FEW}, {promql})"):
            return Reading(own, others)
    return Reading(own)


async def _ask(prometheus: Prometheus, promql: str) -> Answer:
    try:
        return [Series(sample.labels, sample.value) for sample in await prometheus.query(promql)]
    except SignalUnavailable as error:
        return Unasked(f"{error.reason}: {error.message}")


async def _lacking(
    cluster: Cluster, right: Right, namespaces: Sequence[str], system_namespace: str
) -> tuple[str, ...] | Unasked:
    """Return where a program lacks a right. What it has in the whole cluster is not asked for in each of its namespaces."""
    places = (system_namespace,) if right.is_local else tuple(namespaces)
    if len(places) != 1:
        everywhere = await _may(cluster, right, "", system_namespace)
        if everywhere is not False:
            return () if everywhere is True else everywhere
        if not places:
            return ("",)
    lacking = []
    for place in places:
        may = await _may(cluster, right, place, system_namespace)
        if isinstance(may, Unasked):
            return may
        if not may:
            lacking.append(place)
    return tuple(lacking)


async def _may(cluster: Cluster, right: Right, namespace: str, system_namespace: str) -> bool | Unasked:
    resource, _, subresource = right.resource.partition("/")
    attributes: Mapping[str, Any] = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "name": right.name,
        "namespace": namespace,
    }
    review = {
        "apiVersion": SUBJECT_ACCESS_REVIEW.api_version,
        "kind": SUBJECT_ACCESS_REVIEW.name,
        "metadata": {},
        "spec": {
            "user": f"system:serviceaccount:{system_namespace}:{right.program}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{system_namespace}",
                "system:authenticated",
            ],
            "resourceAttributes": {key: value for key, value in attributes.items() if value},
        },
    }
    try:
        return bool((await cluster.create(review))["status"].get("allowed"))
    except Forbidden:
        return Unasked("you may not create subjectaccessreviews")


async def _get(
    cluster: Cluster, kind: Kind, name: str, namespace: str | None = None
) -> Manifest | Unasked | None:
    try:
        return await cluster.get(kind, name, namespace)
    except NotFound:
        return None
    except Forbidden:
        return Unasked(f"you may not read {kind.plural}")


async def _list(cluster: Cluster, kind: Kind) -> list[Manifest] | Unasked:
    try:
        return (await cluster.list(kind)).items
    except NotFound:
        return []
    except Forbidden:
        return Unasked(f"you may not list {kind.plural}")


async def _together(work: Iterable[Awaitable[T]]) -> list[T]:
    """A few at a time, in order."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(awaited: Awaitable[T]) -> T:
        async with limit:
            return await awaited

    return list(await asyncio.gather(*(one(awaited) for awaited in work)))
