"""Gateways and their proxies, on the virtual clock: what they say of a route, and what they do with requests."""

from __future__ import annotations

import random
from collections.abc import Callable

from serving_api.names import REVISION_LABEL
from serving_io import kinds
from tests.campaign import clock
from tests.campaign.api import Api
from tests.fakes.kube.shapes import Json

DELAY_SECONDS = 2.0
"""The propagation delay that the operator is told: no proxy lags behind its controller for longer."""
OTHERS_SECONDS = 6.0
"""How much later than the first parent of a route the others carry out what is new in it."""
Key = tuple[str, str]


class Gateway:
    """The controllers of all Gateways, and all proxies. Without the Gateway API those of the nodes."""

    def __init__(self, api: Api, chance: random.Random, due: Callable[[float], None]) -> None:
        """`due` is told when to look again."""
        self.is_alive = True
        self.accepts = True
        self.stamps = True
        """Whether it says which generation of a route it speaks of."""
        self.views: dict[Key, dict[str, int]] = {}
        """What the proxies do: percent by backend Service, for each route, or for each stable Service without them."""
        self._api, self._chance, self._due = api, chance, due
        if api.routes_served:
            for name in ("local", "other"):
                api.put("controller", kinds.GATEWAY, _gateway(name))
        self._routes: dict[Key, tuple[str, int, float, float, float]] = {}
        self._switches: dict[Key, tuple[str, str, float]] = {}

    def look(self, at: float) -> None:
        """Do all that is due."""
        if not self._api.routes_served:
            self._nodes(at)
            return
        routes = self._api.records(kinds.HTTP_ROUTE)
        if not self.is_alive:
            return
        for key in [key for key in self.views if key not in routes]:
            del self.views[key]  # a proxy without a route sends nothing anywhere
            self._routes.pop(key, None)
        for key, record in list(routes.items()):
            route = record.manifest
            metadata = route["metadata"]
            known = self._routes.get(key)
            if known is None or known[:2] != (metadata["uid"], metadata["generation"]):
                says = at + self._chance.uniform(0.3, 2.0)
                others = says + (OTHERS_SECONDS if len(_parents(route)) > 1 else 0.0)
                acts = others + self._chance.uniform(0, 1.4)
                known = (metadata["uid"], metadata["generation"], says, others, acts)
                self._routes[key] = known
                for moment in known[2:]:
                    self._due(moment)
            if at >= known[2]:
                self._say(route, of_all=at >= known[3])
            if at >= known[4] and self.accepts:
                self.views[key] = backends(route)

    def _nodes(self, at: float) -> None:
        """What the stable Services select, a moment later."""
        services = self._api.records(kinds.SERVICE)
        for key in self.views.keys() - services.keys():
            del self.views[key]
        for key in self._api.records(kinds.INFERENCE_SERVICE).keys() & services.keys():
            manifest = services[key].manifest
            backend = f"{key[1]}-{manifest['spec']['selector'].get(REVISION_LABEL)}"
            metadata, known = manifest["metadata"], self._switches.get(key)
            if known is None or known[:2] != (metadata["uid"], backend):
                known = (metadata["uid"], backend, at + self._chance.uniform(0, 1.4))
                self._switches[key] = known
                self._due(known[2])
            if at >= known[2]:
                self.views[key] = {backend: 100}

    def _say(self, route: Json, of_all: bool) -> None:
        services, namespace = self._api.records(kinds.SERVICE), route["metadata"]["namespace"]
        resolved = all((namespace, name) in services for name in backends(route))
        said = list((route.get("status") or {}).get("parents") or ())
        since = {
            (c["type"], c["status"]): c["lastTransitionTime"] for parent in said for c in parent["conditions"]
        }
        conditions = []
        for kind, holds, otherwise in (
            ("Accepted", self.accepts, "NotAllowedByListeners"),
            ("ResolvedRefs", resolved, "BackendNotFound"),
        ):
            status = "True" if holds else "False"
            made = {"type": kind, "status": status, "reason": kind if holds else otherwise, "message": ""}
            if self.stamps:
                made["observedGeneration"] = route["metadata"]["generation"]
            conditions.append(made | {"lastTransitionTime": since.get((kind, status)) or clock.second()})
        wanted = _parents(route)
        new = [
            {"parentRef": parent, "controllerName": "example.org/gateway", "conditions": conditions}
            for parent in (wanted if of_all else wanted[:1])
        ]
        old = [] if of_all else [entry for entry in said if entry["parentRef"] in wanted[1:]]
        status = {"parents": new + old}
        if (route.get("status") or {}) != status:
            self._api.put("controller", kinds.HTTP_ROUTE, {**route, "status": status})


def _gateway(name: str) -> Json:
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
    return {
        "apiVersion": kinds.GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "team", "uid": f"gateway-{name}"},
        "spec": {
            "gatewayClassName": "example",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
        "status": {"conditions": [condition | {"lastTransitionTime": clock.second()}]},
    }


def backends(route: Json) -> dict[str, int]:
    """Percent by Service."""
    return {
        entry["name"]: int(entry.get("weight", 1))
        for rule in route["spec"].get("rules") or ()
        for entry in rule.get("backendRefs") or ()
    }


def _parents(route: Json) -> list[Json]:
    return list(route["spec"].get("parentRefs") or ())
