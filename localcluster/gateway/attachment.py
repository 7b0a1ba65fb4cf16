"""Which listeners of which Gateways a route attaches to, and for which host names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from localcluster.gateway.world import GATEWAY_GROUP, Key, Verdict, World
from localcluster.objects import Object


@dataclass(frozen=True)
class Listener:
    """One listener of one of our Gateways."""

    gateway: Key
    name: str
    port: int
    hostname: str | None
    same_namespace_only: bool
    problem: Verdict | None
    """Why this listener serves no traffic; None if it does."""


@dataclass(frozen=True)
class Attachment:
    """The answer to one parentRef: where its traffic enters, or why it does not."""

    parent_ref: Object
    hostnames_by_port: dict[int, frozenset[str]]
    listeners: tuple[Listener, ...]
    accepted: Verdict


def listeners_of(gateway_key: Key, gateway: Object) -> list[Listener]:
    """The listeners of a Gateway, each with the problem that keeps it from serving, if any."""
    return [_listener(gateway_key, item) for item in gateway.get("spec", {}).get("listeners", [])]


def _listener(gateway: Key, item: Object) -> Listener:
    allowed = item.get("allowedRoutes", {})
    source = allowed.get("namespaces", {}).get("from", "Same")
    kinds = [kind.get("kind") for kind in allowed.get("kinds", [])]
    problem = None
    if item.get("protocol") != "HTTP":
        problem = Verdict(
            "Accepted",
            False,
            "UnsupportedProtocol",
            f"protocol {item.get('protocol')}: this gateway serves HTTP only",
        )
    elif kinds and "HTTPRoute" not in kinds:
        problem = Verdict(
            "ResolvedRefs",
            False,
            "InvalidRouteKinds",
            f"allowedRoutes.kinds {kinds}: this gateway serves HTTPRoute only",
        )
    elif source not in ("All", "Same"):
        problem = Verdict(
            "Accepted",
            False,
            "UnsupportedValue",
            f"allowedRoutes.namespaces.from {source}: this gateway knows All and Same",
        )
    return Listener(
        gateway=gateway,
        name=item["name"],
        port=int(item["port"]),
        hostname=item.get("hostname") or None,
        same_namespace_only=source == "Same",
        problem=problem,
    )


def narrower(first: str, second: str) -> str | None:
    """The hostname that both patterns match (the more specific one); None if they share none."""
    if first == second or (second.startswith("*.") and first.endswith(second[1:])):
        return first
    if first.startswith("*.") and second.endswith(first[1:]):
        return second
    return None


def effective_hostnames(listener: str | None, route: list[str]) -> frozenset[str]:
    """Host names under which a route answers on a listener; `*` is every name."""
    if listener is None:
        return frozenset(route or ["*"])
    if not route:
        return frozenset([listener])
    return frozenset(host for name in route if (host := narrower(listener, name)) is not None)


def attachments(route_key: Key, route: Object, world: World) -> Iterator[Attachment]:
    """One answer for each parentRef of the route that names a Gateway of ours."""
    gateways = world.our_gateways()
    spec = route.get("spec", {})
    for ref in spec.get("parentRefs", []):
        if ref.get("group", GATEWAY_GROUP) != GATEWAY_GROUP or ref.get("kind", "Gateway") != "Gateway":
            continue
        gateway_key = Key(ref.get("namespace") or route_key.namespace, ref["name"])
        if gateway_key in gateways:
            candidates = listeners_of(gateway_key, gateways[gateway_key])
            yield _attach(ref, route_key.namespace, spec.get("hostnames", []), candidates)


def _attach(ref: Object, namespace: str, hostnames: list[str], candidates: list[Listener]) -> Attachment:
    named = [
        listener
        for listener in candidates
        if ref.get("sectionName") in (None, listener.name) and ref.get("port") in (None, listener.port)
    ]
    usable = [listener for listener in named if listener.problem is None]
    allowed = [
        listener
        for listener in usable
        if not listener.same_namespace_only or listener.gateway.namespace == namespace
    ]
    by_port: dict[int, frozenset[str]] = {}
    attached = []
    for listener in allowed:
        hosts = effective_hostnames(listener.hostname, hostnames)
        if hosts:
            attached.append(listener)
            by_port[listener.port] = by_port.get(listener.port, frozenset()) | hosts
    if attached:
        accepted = Verdict("Accepted", True, "Accepted")
    elif not usable:
        wanted = ref.get("sectionName") or ref.get("port") or "any"
        accepted = Verdict(
            "Accepted",
            False,
            "NoMatchingParent",
            f"no HTTP listener of Gateway {ref['name']} matches (asked for: {wanted})",
        )
    elif not allowed:
        accepted = Verdict(
            "Accepted",
            False,
            "NotAllowedByListeners",
            f"the listeners admit no routes from namespace {namespace}; see allowedRoutes.namespaces",
        )
    else:
        accepted = Verdict(
            "Accepted",
            False,
            "NoMatchingListenerHostname",
            f"none of the host names {hostnames} fits a listener's hostname",
        )
    return Attachment(ref, by_port, tuple(attached), accepted)
