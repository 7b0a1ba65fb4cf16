"""Backends of a rule: which shares of its traffic go to which pods, and what could not be resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from localcluster.gateway.world import Key, Verdict, World
from localcluster.node.addresses import listen_address
from localcluster.objects import Object

_LOOPBACK = IPv4Network("127.0.0.0/8")
_UNSUPPORTED_PROTOCOLS = ("kubernetes.io/h2c", "kubernetes.io/ws", "kubernetes.io/wss")


@dataclass(frozen=True)
class Address:
    """Where a pod is dialled."""

    ip: str
    port: int


@dataclass(frozen=True)
class Backend:
    """A Service port with its weight, and the pods behind it that take new requests."""

    service: str
    port: int
    weight: int
    addresses: tuple[Address, ...]


@dataclass(frozen=True)
class RuleBackends:
    """A rule's resolved backends and the summed weight of those that could not be resolved."""

    backends: tuple[Backend, ...]
    unresolved_weight: int
    problems: tuple[Verdict, ...]


def dialled_ip(ip: str) -> str | None:
    """Loopback address of a pod; None for addresses outside the local cluster, which are never dialled."""
    dialled = listen_address(ip)
    return dialled if IPv4Address(dialled) in _LOOPBACK else None


def rule_backends(
    namespace: str, rule_path: str, rule: Object, slices: SliceIndex, world: World
) -> RuleBackends:
    """Resolve the backendRefs of one rule; refs to one Service port are summed."""
    weights: dict[tuple[str, int], int] = {}
    addresses: dict[tuple[str, int], tuple[Address, ...]] = {}
    unresolved_weight = 0
    problems = []
    for index, ref in enumerate(rule.get("backendRefs", [])):
        weight = int(ref.get("weight", 1))
        found = _service_port(namespace, f"{rule_path}.backendRefs[{index}]", ref, world)
        if isinstance(found, Verdict):
            problems.append(found)
            unresolved_weight += weight
            continue
        port = int(ref["port"])
        backend = (ref["name"], port)
        weights[backend] = weights.get(backend, 0) + weight
        addresses[backend] = tuple(
            sorted(set(slices.addresses(Key(namespace, ref["name"]), found.get("name", ""))), key=str)
        )
    backends = tuple(
        Backend(service, port, weight, addresses[service, port])
        for (service, port), weight in weights.items()
    )
    return RuleBackends(backends, unresolved_weight, tuple(problems))


def _service_port(namespace: str, path: str, ref: Object, world: World) -> Object | Verdict:
    if ref.get("group", "") != "" or ref.get("kind", "Service") != "Service":
        kind = f"{ref.get('group', '')}/{ref.get('kind')}"
        return Verdict(
            "ResolvedRefs", False, "InvalidKind", f"{path}: {kind} is not a backend here; use a Service"
        )
    if ref.get("namespace", namespace) != namespace:
        return Verdict(
            "ResolvedRefs",
            False,
            "RefNotPermitted",
            f"{path}: Service {ref['namespace']}/{ref['name']} is in another namespace; "
            "this gateway admits backends of the route's own namespace only",
        )
    service = world.services.get(Key(namespace, ref["name"]))
    if service is None:
        message = f"{path}: Service {namespace}/{ref['name']} does not exist"
        return Verdict("ResolvedRefs", False, "BackendNotFound", message)
    spec = service.get("spec", {})
    if spec.get("type") == "ExternalName":
        message = f"{path}: Service {ref['name']} is of type ExternalName, which is not a backend here"
        return Verdict("ResolvedRefs", False, "InvalidKind", message)
    for port in spec.get("ports", []):
        if port.get("port") == ref.get("port"):
            if port.get("appProtocol") in _UNSUPPORTED_PROTOCOLS:
                message = f"{path}: appProtocol {port['appProtocol']} is not implemented; use HTTP/1.1"
                return Verdict("ResolvedRefs", False, "UnsupportedProtocol", message)
            return dict(port)
    known = ", ".join(str(port.get("port")) for port in spec.get("ports", [])) or "none"
    message = f"{path}: Service {ref['name']} has no port {ref.get('port')} (it has: {known})"
    return Verdict("ResolvedRefs", False, "BackendNotFound", message)


class SliceIndex:
    """EndpointSlices by the Service that they belong to."""

    def __init__(self, slices: Iterable[Object]) -> None:
        self._by_service: dict[Key, list[Object]] = {}
        for item in slices:
            service = item["metadata"].get("labels", {}).get("kubernetes.io/service-name")
            if service is not None and item.get("addressType") == "IPv4":
                key = Key(item["metadata"]["namespace"], service)
                self._by_service.setdefault(key, []).append(item)

    def addresses(self, service: Key, port_name: str) -> list[Address]:
        """Pods that take new requests; if there is none, those that still serve while they terminate."""
        ready, terminating = [], []
        for endpoint, port in self._endpoints(service, port_name):
            conditions = endpoint.get("conditions", {})
            dialled = [ip for item in endpoint.get("addresses", []) if (ip := dialled_ip(item)) is not None]
            found = [Address(ip, port) for ip in dialled]
            is_ready = conditions.get("ready") is not False
            serves = conditions.get("serving", is_ready) is not False
            if not serves:
                continue
            if conditions.get("terminating"):
                terminating += found
            elif is_ready:
                ready += found
        return ready or terminating

    def _endpoints(self, service: Key, port_name: str) -> Iterator[tuple[Object, int]]:
        for item in self._by_service.get(service, []):
            for port in item.get("ports") or []:
                if (port.get("name") or "") == port_name and port.get("port"):
                    for endpoint in item.get("endpoints") or []:
                        yield endpoint, int(port["port"])
