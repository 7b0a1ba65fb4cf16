"""What the API server says of the demo's service, at one moment. Pure: objects in, a snapshot out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving_api.names import REVISION_LABEL, SERVICE_LABEL

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class RevisionReplicas:
    """Replicas of one revision: what its Deployment asks for, and what is ready."""

    desired: int
    ready: int
    pods: int = 0
    """Pods that there are, ready or not."""


@dataclass(frozen=True)
class Canary:
    """The attempt under way, as status shows it."""

    id: str
    revision: str
    weight: int | None
    verdict: str
    evidence: Manifest | None = None
    """What the judge's latest verdict rests on, as status has it."""
    promotion: str = ""
    """Why it is promoted without a label; empty if it is not."""


@dataclass(frozen=True)
class ConditionView:
    """A condition: its status, and why."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class Snapshot:
    """All that the demo watches."""

    replicas: Mapping[str, RevisionReplicas] = field(default_factory=dict)
    """By revision."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Percent of the traffic that the route names, by revision."""
    acknowledged: bool = False
    """Whether the gateway has confirmed the route as it is now."""
    stable: str = ""
    canary: Canary | None = None
    rejected: tuple[str, ...] = ()
    """Ids of rejected attempts."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why attempts were rejected, by id."""
    commands: tuple[tuple[str, str], ...] = ()
    """Label commands that were accepted: kind and attempt."""
    conditions: Mapping[str, ConditionView] = field(default_factory=dict)
    decisions: Mapping[str, str] = field(default_factory=dict)
    """The autoscaler's last sentence, by revision."""
    start_time_seconds: int | None = None
    """What the autoscaler has measured from the scale write to a ready pod."""
    work_seconds: float | None = None
    """What it has learned that a request costs a replica."""

    @property
    def ready_of_stable(self) -> int:
        """Ready replicas of the committed revision."""
        found = self.replicas.get(self.stable)
        return found.ready if found else 0

    @property
    def desired_of_stable(self) -> int:
        """Replicas that the committed revision's Deployment asks for."""
        found = self.replicas.get(self.stable)
        return found.desired if found else 0


def read(
    service_name: str,
    services: Iterable[Manifest],
    deployments: Iterable[Manifest],
    routes: Iterable[Manifest],
    autoscalers: Iterable[Manifest],
) -> Snapshot:
    """Return the snapshot of one service; objects of others among those given are passed over."""
    status = next((_status(one) for one in services if _name(one) == service_name), {})
    route = next((one for one in routes if _name(one) == service_name), None)
    own = [one for one in autoscalers if _labels(one).get(SERVICE_LABEL) == service_name]
    learned = [_status(one).get("learned", {}) for one in own]
    start_times = [known["startTimeSeconds"] for known in learned if "startTimeSeconds" in known]
    works = [known["serviceTimeMilliseconds"] for known in learned if "serviceTimeMilliseconds" in known]
    canary = status.get("canary")
    return Snapshot(
        replicas={
            _labels(one)[REVISION_LABEL]: RevisionReplicas(
                one["spec"].get("replicas", 1),
                _status(one).get("readyReplicas", 0),
                _status(one).get("replicas", 0),
            )
            for one in deployments
            if _labels(one).get(SERVICE_LABEL) == service_name and REVISION_LABEL in _labels(one)
        },
        weights=route_weights(route, service_name) if route else {},
        acknowledged=is_acknowledged(route) if route else False,
        stable=status.get("stable", {}).get("revision", ""),
        canary=_canary(canary) if canary else None,
        rejected=tuple(one["id"] for one in status.get("rejected") or ()),
        reasons={one["id"]: one["reason"] for one in status.get("rejected") or ()},
        commands=tuple((one["kind"], one["id"]) for one in status.get("commands") or ()),
        conditions={
            one["type"]: ConditionView(one["status"], one.get("reason", ""), one.get("message", ""))
            for one in status.get("conditions") or ()
        },
        decisions={
            _labels(one).get(REVISION_LABEL, _name(one)): _status(one)
            .get("lastDecision", {})
            .get("message", "")
            for one in own
        },
        start_time_seconds=max(start_times, default=None),
        work_seconds=min(works) / 1000 if works else None,
    )


def route_weights(route: Manifest, service_name: str) -> dict[str, float]:
    """Return the percent of traffic by revision that a route's first rule with backends names."""
    for rule in route["spec"].get("rules") or ():
        backends = rule.get("backendRefs") or ()
        total = sum(one.get("weight", 1) for one in backends)
        if total:
            return {
                one["name"].removeprefix(f"{service_name}-"): 100 * one.get("weight", 1) / total
                for one in backends
            }
    return {}


def is_acknowledged(route: Manifest) -> bool:
    """Return whether every parent that the route names has accepted its present generation."""
    generation = route["metadata"].get("generation", 1)
    confirmed = {
        (one["parentRef"].get("namespace", route["metadata"]["namespace"]), one["parentRef"]["name"])
        for one in _status(route).get("parents") or ()
        if {"Accepted", "ResolvedRefs"}
        <= {
            condition["type"]
            for condition in one.get("conditions") or ()
            if condition["status"] == "True" and condition.get("observedGeneration", 0) >= generation
        }
    }
    wanted = {
        (one.get("namespace", route["metadata"]["namespace"]), one["name"])
        for one in route["spec"].get("parentRefs") or ()
    }
    return bool(wanted) and wanted <= confirmed


def _canary(attempt: Manifest) -> Canary:
    return Canary(
        attempt["id"],
        attempt["revision"],
        attempt.get("weight"),
        attempt.get("verdict", ""),
        attempt.get("evidence"),
        attempt.get("promotion", {}).get("reason", ""),
    )


def _name(one: Manifest) -> str:
    return str(one["metadata"]["name"])


def _labels(one: Manifest) -> Mapping[str, str]:
    return one["metadata"].get("labels") or {}


def _status(one: Manifest) -> Mapping[str, Any]:
    return one.get("status") or {}
