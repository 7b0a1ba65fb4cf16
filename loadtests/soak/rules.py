"""What must hold at every version of the objects, whoever wrote it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtests.demo.observation import route_weights
from serving_api.names import SERVICE_LABEL
from serving_io.kinds import HTTP_ROUTE, INFERENCE_SERVICE, SERVICE, Kind

Manifest = Mapping[str, Any]
WATCHED = (INFERENCE_SERVICE, HTTP_ROUTE, SERVICE)
LAG_SECONDS = 3.0
"""By so much the watch of one kind may be behind that of another."""


@dataclass
class Rules:
    """Sees the events of all watches, and keeps what was broken; times in seconds by one clock."""

    broken: list[str] = field(default_factory=list)
    versions: int = 0
    """How many versions were seen."""
    _generations: dict[str, int] = field(default_factory=dict)
    _weights: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """By name of the route."""
    _gone: dict[str, float] = field(default_factory=dict)
    """Services that were deleted while a route sent requests to them, and when."""
    _services: set[str] = field(default_factory=set)

    def see(self, kind: Kind, type_: str, seen: Manifest, now: float) -> None:
        """Look at one version of an object; `type_` as a watch tells it."""
        self.versions += 1
        name = str(seen["metadata"]["name"])
        if kind == INFERENCE_SERVICE:
            self._service(name, type_, seen)
        elif kind == HTTP_ROUTE:
            self._route(name, type_, seen)
        elif type_ != "DELETED":
            self._gone.pop(name, None)
        elif SERVICE_LABEL in (seen["metadata"].get("labels") or {}):
            self._gone[name] = now

    def listed(self, kind: Kind, names: Collection[str]) -> None:
        """What there is after a break of the watch: of the rest nobody knows when it went."""
        if kind == INFERENCE_SERVICE:
            self._services &= set(names)
        elif kind == HTTP_ROUTE:
            self._weights = {name: weights for name, weights in self._weights.items() if name in names}

    def look(self, now: float) -> None:
        """Judge what can only be judged a little later: a Service that a route still refers to."""
        for name, at in list(self._gone.items()):
            if now - at < LAG_SECONDS:
                continue
            del self._gone[name]
            for route, weights in self._weights.items():
                revision = name.removeprefix(f"{route}-")
                if route in self._services and weights.get(revision, 0) > 0:
                    self._break(
                        f"Service {name} was deleted while route {route} sent it {weights[revision]:g}%"
                    )

    def _service(self, name: str, type_: str, seen: Manifest) -> None:
        uid, status = seen["metadata"]["uid"], seen.get("status") or {}
        if type_ == "DELETED" or seen["metadata"].get("deletionTimestamp"):
            self._services.discard(name)
            return
        self._services.add(name)
        observed, before = status.get("observedGeneration", 0), self._generations.get(uid, 0)
        if observed > seen["metadata"]["generation"]:
            self._break(f"{name}: observedGeneration {observed} is ahead of the generation")
        if observed < before:
            self._break(f"{name}: observedGeneration went back from {before} to {observed}")
        self._generations[uid] = max(observed, before)
        canary = (status.get("canary") or {}).get("id")
        if canary is not None and canary in [one["id"] for one in status.get("rejected") or ()]:
            self._break(f"{name}: {canary} is rejected, and the canary")

    def _route(self, name: str, type_: str, seen: Manifest) -> None:
        if type_ == "DELETED":
            self._weights.pop(name, None)
            return
        stated = [
            one.get("weight", 1)
            for rule in seen["spec"].get("rules") or ()
            for one in rule.get("backendRefs") or ()
        ]
        if stated and sum(stated) != 100:
            self._break(f"route {name}: its weights sum to {sum(stated)}")
        self._weights[name] = weights = route_weights(seen, name)
        if sum(weight > 0 for weight in weights.values()) > 2:
            self._break(f"route {name}: more than two revisions get requests")

    def _break(self, sentence: str) -> None:
        if sentence not in self.broken:
            self.broken.append(sentence)
