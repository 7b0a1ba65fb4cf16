"""How requests are shared out: the route, the canary's weight, how pods are replaced, and limits of concurrency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from servingctl.conversion.fit import SERVICE
from servingctl.conversion.ledger import Ledger
from servingctl.conversion.metadata import Steering
from servingctl.paths import Path


@dataclass(frozen=True, slots=True)
class Route:
    """How converted services are reached from outside; `hostname` may name {name} and {namespace}."""

    gateway_namespace: str
    gateway_name: str
    hostname: str


def rollout(
    left: dict[str, Any], path: Path, steered: Steering, spec: dict[str, Any], ledger: Ledger
) -> None:
    """Account for what KServe says of versions beside one another: the canary's weight, and how pods are replaced."""
    strategy, at = left.get("deploymentStrategy"), (*path, "deploymentStrategy")
    if isinstance(strategy, dict) and strategy.get("type", "RollingUpdate") == "RollingUpdate":
        ledger.note(
            at,
            "a changed predictor is a canary; within a revision one pod more is made first, with accelerators one less",
        )
    else:
        ledger.refuse(
            at, "pods are replaced one by one; where both do not fit, rollout.surge Budget moves them along"
        )
    concurrency, at = left.get("containerConcurrency"), (*path, "containerConcurrency")
    if concurrency == 0 or steered.mode == "Standard":
        ledger.imply(at, "without effect: 0 is no limit, and Standard mode has none")
    else:
        ledger.refuse(
            at, "nothing limits the requests that a pod works on but the server itself; set the limit there"
        )
    percent, at = left.get("canaryTrafficPercent"), (*path, "canaryTrafficPercent")
    if percent == 100 or steered.mode == "Standard":
        ledger.note(
            at, "without effect: this spec has all of the traffic; a changed predictor will be a canary"
        )
    elif (
        isinstance(percent, int) and not isinstance(percent, bool) and 1 <= percent <= 99 and "route" in spec
    ):
        spec["rollout"] = {"steps": [{"weight": percent}]}
        target = (*SERVICE, "spec", "rollout", "steps", 0, "weight")
        ledger.carry(at, target, words="for the next change: the first revision has all of the traffic")
    else:
        ledger.refuse(
            at,
            "weights take a route (--gateway and --hostname), from 1 to 99; the spec that has the rest of the traffic is to "
            "be applied first",
        )


def route(wanted: Route, described: dict[str, Any]) -> dict[str, Any]:
    """Return our `spec.route` of a service with this metadata."""
    named = {"name": described.get("name", ""), "namespace": described.get("namespace") or "default"}
    return {
        "parentRefs": [{"name": wanted.gateway_name, "namespace": wanted.gateway_namespace}],
        "hostnames": [wanted.hostname.format(**named)],
    }
