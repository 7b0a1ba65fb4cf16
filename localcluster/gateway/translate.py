"""The whole translation: Gateway API objects in, Envoy resources and the answer to each object out. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from localcluster.gateway import matches, resources
from localcluster.gateway.attachment import Attachment, Listener, attachments, listeners_of
from localcluster.gateway.backends import RuleBackends, SliceIndex, rule_backends
from localcluster.gateway.resources import Resource
from localcluster.gateway.world import Key, Verdict, World, generation_of
from localcluster.objects import Object

NAMING_ANNOTATION = "serving-operator.dev/cluster-naming"
"""On a Gateway: how clusters of the routes that attach to it are named."""


class ClusterNaming(StrEnum):
    """How a rule's backends become Envoy clusters."""

    PER_BACKEND = "per-backend"
    """One cluster for each backend; weights are the route's."""
    MERGED = "merged"
    """One cluster for each rule; weights are those of its localities, one for each backend."""


@dataclass(frozen=True)
class Layout:
    """Where Envoy finds its files."""

    directory: Path
    access_log: Path

    def endpoints_file(self, cluster: str) -> Path:
        """The endpoints of one cluster (Envoy takes one assignment per file)."""
        return self.directory / "endpoints" / (hashlib.sha256(cluster.encode()).hexdigest()[:24] + ".json")

    def routes_file(self, name: str) -> Path:
        """The routes of one port."""
        return self.directory / "routes" / f"{name}.json"


@dataclass(frozen=True)
class RouteAnswer:
    """What a route's status will say once Envoy has its content in force."""

    key: Key
    generation: int
    attachments: tuple[Attachment, ...]
    resolved: Verdict
    clusters: frozenset[str]


@dataclass(frozen=True)
class GatewayAnswer:
    """A Gateway's listeners, each with the number of routes attached to it."""

    key: Key
    generation: int
    listeners: tuple[tuple[Listener, int], ...]


@dataclass(frozen=True)
class Translation:
    """Envoy's resources by name, and the answers to routes and Gateways."""

    listeners: dict[str, Resource]
    routes: dict[str, Resource]
    clusters: dict[str, Resource]
    endpoints: dict[str, Resource]
    route_answers: tuple[RouteAnswer, ...]
    gateway_answers: tuple[GatewayAnswer, ...]

    def programs_as(self, other: Translation) -> bool:
        """Whether Envoy is to be told the same."""
        return (self.listeners, self.routes, self.clusters, self.endpoints) == (
            other.listeners,
            other.routes,
            other.clusters,
            other.endpoints,
        )


def port_name(port: int) -> str:
    """Name of the Envoy listener, route configuration and statistics prefix of a port."""
    return f"http-{port}"


def translate(world: World, layout: Layout) -> Translation:
    """Translate one look at the API server."""
    clusters: dict[str, Resource] = {}
    endpoints: dict[str, Resource] = {}
    answers: list[RouteAnswer] = []
    entries: dict[int, dict[str, list[tuple[matches.Precedence, Resource]]]] = {}
    slices = SliceIndex(world.slices.values())
    gateways = world.our_gateways()
    for gateway_key, gateway in gateways.items():
        for listener in listeners_of(gateway_key, gateway):
            if listener.problem is None:
                entries.setdefault(listener.port, {})

    for key, route in sorted(world.routes.items()):
        attached = tuple(attachments(key, route, world))
        if not attached:
            continue
        complaint = matches.unsupported(route)
        if complaint is not None:
            answers.append(_refused(key, route, attached, complaint))
            continue
        naming = _naming(attached, gateways)
        problems: list[Verdict] = []
        route_clusters: dict[str, Resource] = {}
        for index, rule in enumerate(route.get("spec", {}).get("rules", [])):
            found = rule_backends(key.namespace, f"spec.rules[{index}]", rule, slices, world)
            problems += found.problems
            shares = []
            for name, weight, assignment in _clusters(key, index, found, naming):
                shares.append((name, weight))
                route_clusters[name] = assignment
            shares.append((resources.MISSING_CLUSTER, found.unresolved_weight))
            timeout = matches.route_timeout(rule)
            for position, match in enumerate(rule.get("matches") or [{}]):
                entry = resources.route(matches.envoy_match(match), shares, timeout)
                rank = matches.precedence(key, route, index, position, match)
                for attachment in attached:
                    for port, hosts in attachment.hostnames_by_port.items():
                        for host in hosts:
                            entries[port].setdefault(host, []).append((rank, entry))
        if any(attachment.hostnames_by_port for attachment in attached):
            endpoints |= route_clusters
            for name in route_clusters:
                clusters[name] = resources.cluster(
                    name, layout.endpoints_file(name), naming is ClusterNaming.MERGED
                )
        answers.append(
            RouteAnswer(key, generation_of(route), attached, _resolved(problems), frozenset(route_clusters))
        )

    return Translation(
        listeners={
            port_name(port): resources.listener(
                port_name(port), port, layout.routes_file(port_name(port)), layout.access_log
            )
            for port in entries
        },
        routes={
            port_name(port): resources.route_configuration(port_name(port), _ordered(hosts))
            for port, hosts in entries.items()
        },
        clusters=clusters,
        endpoints=endpoints,
        route_answers=tuple(answers),
        gateway_answers=tuple(_gateway_answer(key, item, answers) for key, item in sorted(gateways.items())),
    )


def _naming(attached: tuple[Attachment, ...], gateways: Mapping[Key, Object]) -> ClusterNaming:
    """What any Gateway of a route asks for: a route has its clusters once, whichever Gateways it attaches to."""
    asked = {
        (gateways[listener.gateway]["metadata"].get("annotations") or {}).get(NAMING_ANNOTATION)
        for attachment in attached
        for listener in attachment.listeners
    }
    return ClusterNaming.MERGED if ClusterNaming.MERGED in asked else ClusterNaming.PER_BACKEND


def _clusters(
    key: Key, rule: int, found: RuleBackends, naming: ClusterNaming
) -> Iterator[tuple[str, int, Resource]]:
    """(cluster, weight, endpoints) for a rule. Backends of weight 0 keep theirs: raising it needs no warming."""
    prefix = f"httproute/{key.namespace}/{key.name}/rule/{rule}"
    services = [backend.service for backend in found.backends]
    names = {
        backend: f"{prefix}/backend/{backend.service}"
        + (f"/port/{backend.port}" if services.count(backend.service) > 1 else "")
        for backend in found.backends
    }
    if naming is ClusterNaming.PER_BACKEND:
        for backend, name in names.items():
            yield name, backend.weight, resources.load_assignment(name, [(name, 1, backend.addresses)])
    elif found.backends:
        weighted = [(names[item], item.weight, item.addresses) for item in found.backends if item.weight > 0]
        total = sum(backend.weight for backend in found.backends)
        yield prefix, total, resources.load_assignment(prefix, weighted)


def _ordered(hosts: dict[str, list[tuple[matches.Precedence, Resource]]]) -> dict[str, list[Resource]]:
    result: dict[str, list[Resource]] = {}
    for host, ranked in hosts.items():
        unique = dict(ranked)
        result[host] = [unique[rank] for rank in sorted(unique)]
    return result


def _resolved(problems: list[Verdict]) -> Verdict:
    if not problems:
        return Verdict("ResolvedRefs", True, "ResolvedRefs")
    return Verdict("ResolvedRefs", False, problems[0].reason, "; ".join(item.message for item in problems))


def _refused(key: Key, route: Object, attached: tuple[Attachment, ...], complaint: str) -> RouteAnswer:
    verdict = Verdict("Accepted", False, "UnsupportedValue", complaint)
    refused = tuple(
        Attachment(item.parent_ref, {}, (), verdict if item.accepted.status else item.accepted)
        for item in attached
    )
    return RouteAnswer(key, generation_of(route), refused, _resolved([]), frozenset())


def _gateway_answer(key: Key, gateway: Object, answers: list[RouteAnswer]) -> GatewayAnswer:
    counted = tuple(
        (
            listener,
            sum(any(listener in item.listeners for item in answer.attachments) for answer in answers),
        )
        for listener in listeners_of(key, gateway)
    )
    return GatewayAnswer(key, generation_of(gateway), counted)
