"""API objects as the tests of the gateway write them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from localcluster.gateway.controller import default_objects
from localcluster.gateway.translate import NAMING_ANNOTATION, ClusterNaming, Layout, Translation, translate
from localcluster.gateway.world import World, key_of
from localcluster.objects import Object

PORT = 18080
LAYOUT = Layout(Path("/xds"), Path("/logs/access.log"))
PARENT = {
    "group": "gateway.networking.k8s.io",
    "kind": "Gateway",
    "namespace": "gateway-system",
    "name": "local",
}
PREFIX = "httproute/shop/iris/rule/0"


def gateway(name: str = "local", **listener: Any) -> Object:
    """The Gateway `local`, or another of its class, with one listener changed as stated."""
    item = default_objects(PORT)[2][1]
    item["metadata"] |= {"name": name, "generation": 1, "uid": f"gateway-{name}", "resourceVersion": "1"}
    item["spec"]["listeners"][0] |= listener
    return item


def named(found: Object, naming: ClusterNaming) -> Object:
    """A Gateway that asks for a naming of clusters."""
    annotated = found["metadata"] | {"annotations": {NAMING_ANNOTATION: str(naming)}}
    return found | {"metadata": annotated}


def service(name: str, port: int = 80, **spec: Any) -> Object:
    """A Service of namespace `shop` with one port named `http`."""
    ports = [{"name": "http", "port": port, "targetPort": "http"}]
    return {"metadata": {"namespace": "shop", "name": name}, "spec": {"ports": ports, **spec}}


def endpoint(ip: str, **conditions: bool) -> Object:
    """One endpoint of an EndpointSlice."""
    return {"addresses": [ip], "conditions": conditions}


def endpoint_slice(owner: str, *endpoints: Object, port: int = 8080, name: str = "1") -> Object:
    """An EndpointSlice of a Service of namespace `shop`."""
    labels = {"kubernetes.io/service-name": owner}
    return {
        "metadata": {"namespace": "shop", "name": f"{owner}-{name}", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port}],
        "endpoints": list(endpoints),
    }


def rule(*backends: tuple[str, int], **fields: Any) -> Object:
    """A rule with (Service, weight) backends on port 80."""
    refs = [{"name": name, "port": 80, "weight": weight} for name, weight in backends]
    return {"backendRefs": refs, **fields}


def route(*rules: Object, name: str = "iris", namespace: str = "shop", **spec: Any) -> Object:
    """An HTTPRoute of the Gateway `local`."""
    metadata = {"namespace": namespace, "name": name, "generation": 7, "uid": name, "resourceVersion": "9"}
    return {"metadata": metadata, "spec": {"parentRefs": [PARENT], "rules": list(rules), **spec}}


def world(*routes: Object, services: Any = None, slices: Any = (), gateways: Any = None) -> World:
    """A world with the Services `a` and `b`, and with the GatewayClass and Gateway that exist from the start."""
    gateway_class = default_objects(PORT)[0][1]
    gateway_class["metadata"] |= {"generation": 1, "uid": "class", "resourceVersion": "1"}

    def keyed(items: Any) -> dict[Any, Object]:
        return {key_of(item): item for item in items}

    return World(
        classes=keyed([gateway_class]),
        gateways=keyed(gateways or [gateway()]),
        routes=keyed(routes),
        services=keyed([service("a"), service("b")] if services is None else services),
        slices=keyed(slices),
    )


def translated(*routes: Object, layout: Layout = LAYOUT, **others: Any) -> Translation:
    """The translation of `world(...)`."""
    return translate(world(*routes, **others), layout)


def entries(translation: Translation, host: str = "*", port: int = PORT) -> list[Object]:
    """Envoy's route entries of a host name, in the order in which they are tried."""
    hosts = translation.routes[f"http-{port}"]["virtual_hosts"]
    return next(item["routes"] for item in hosts if item["name"] == host)


def shares(entry: Object) -> dict[str, int]:
    """Weight by cluster of a route entry."""
    return {item["name"]: item["weight"] for item in entry["route"]["weighted_clusters"]["clusters"]}


def dialled(translation: Translation, cluster: str) -> list[str]:
    """Addresses that Envoy dials for a cluster."""
    found = []
    for group in translation.endpoints[cluster]["endpoints"]:
        for host in group["lb_endpoints"]:
            address = host["endpoint"]["address"]["socket_address"]
            found.append(f"{address['address']}:{address['port_value']}")
    return found
