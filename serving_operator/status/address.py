"""The URL of a service, as its hostname and the Gateway's listener make it."""

from __future__ import annotations

from serving_operator.rollout.observed import Observed
from serving_operator.world import Manifest

_DEFAULT_PORTS = {"http": 80, "https": 443}


def url(observed: Observed) -> str | None:
    """Return where requests are answered: by way of the first Gateway, or inside the cluster without one.

    None where its listener is not seen, as that of a Gateway outside the namespaces that the operator was told: only it
    tells scheme and port.
    """
    key, route = observed.world.key, observed.service.spec.route
    if route is None or not route.parent_refs or not route.hostnames or not observed.routed:
        return f"http://{key.name}.{key.namespace}.svc"
    parent = route.parent_refs[0]
    gateway = observed.world.gateways.get((parent.namespace or key.namespace, parent.name))
    listener = _listener(gateway, parent.section_name, parent.port)
    if listener is None:
        return None
    scheme = "https" if listener.get("protocol") in ("HTTPS", "TLS") else "http"
    port = listener.get("port", _DEFAULT_PORTS[scheme])
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{route.hostnames[0]}{suffix}"


def _listener(gateway: Manifest | None, section: str | None, port: int | None) -> Manifest | None:
    for listener in ((gateway or {}).get("spec") or {}).get("listeners") or ():
        if section in (None, listener.get("name")) and port in (None, listener.get("port")):
            return dict(listener)
    return None
