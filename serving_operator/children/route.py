"""HTTPRoute of a service: which revision gets how much of the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving_api.names import revision_name
from serving_api.route import ParentReference
from serving_api.service import InferenceService
from serving_operator.children.metadata import metadata
from serving_operator.children.services import SERVICE_PORT
from serving_operator.world import Manifest

GATEWAY_GROUP = "gateway.networking.k8s.io"


def route(
    service: InferenceService, backends: Sequence[tuple[str, int]], annotations: Mapping[str, str]
) -> Manifest:
    """Return the route that gives each `(revision, weight percent)` its share.

    Whatever the API server would fill in is stated, so that an edit of it is seen. The service must have a route, complete.
    """
    spec = service.spec
    assert spec.route is not None
    return {
        "apiVersion": f"{GATEWAY_GROUP}/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(service, service.key.name, annotations=annotations),
        "spec": {
            "parentRefs": [_parent(parent) for parent in spec.route.parent_refs or ()],
            "hostnames": list(spec.route.hostnames or ()),
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [
                        {
                            "group": "",
                            "kind": "Service",
                            "name": revision_name(service.key.name, revision),
                            "port": SERVICE_PORT,
                            "weight": weight,
                        }
                        for revision, weight in backends
                    ],
                    "timeouts": {"request": f"{spec.predictor.timeout}s"},
                }
            ],
        },
    }


def weights(route: Manifest) -> dict[str, int]:
    """Return the weight of each revision that our route names; backends of other shapes are left out."""
    service = route["metadata"]["name"]
    found: dict[str, int] = {}
    for rule in (route.get("spec") or {}).get("rules") or ():
        for backend in rule.get("backendRefs") or ():
            name = str(backend.get("name", ""))
            if name.startswith(f"{service}-"):
                found[name.removeprefix(f"{service}-")] = int(backend.get("weight", 1))
    return found


def _parent(parent: ParentReference) -> Manifest:
    return {"group": GATEWAY_GROUP, "kind": "Gateway"} | parent.wire()
