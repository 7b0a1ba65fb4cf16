"""Which conditions hold of a target, and what they say. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from autoscaler.decide import Decision
from autoscaler.lateness import Uncapacity
from autoscaler.signals.observe import Observation
from autoscaler.signals.views import Gate
from autoscaler.targets import Target

Truth = Literal["True", "False", "Unknown"]
_DESPITE: Final[dict[Uncapacity, str]] = {
    "IdleButLate": "although the replicas have little to do",
    "MoreDidNotHelp": "although there are half as many replicas more than should be needed",
}
_MADE_SLOWER: Final = "and the last replicas that were added have only made each of them slower"


@dataclass(frozen=True)
class Finding:
    """A condition before it knows since when it holds."""

    type: str
    status: Truth
    reason: str
    message: str


def findings(
    target: Target,
    observation: Observation | None,
    decision: Decision | None,
    *,
    unmeasurable: Finding | None,
    not_capacity: Uncapacity | None,
    in_vain: bool = False,
    gpu_unseen: bool = False,
) -> list[Finding]:
    """All conditions that hold; with `unmeasurable`, why lateness cannot be counted at the threshold.

    `in_vain`: replicas are known to have been added in vain. `gpu_unseen`: nothing tells how busy the accelerators
    are, which are to bound the replicas.
    """
    found = [_active(target)]
    if observation is not None:
        found.append(_signals(target, observation, gpu_unseen=gpu_unseen))
    if decision is not None:
        found.append(_limited(target, decision))
        if decision.reserve_limited:
            found.append(
                Finding(
                    "ReserveLimited",
                    "True",
                    "MaxReplicas",
                    f"the reserve takes more than maxReplicas ({target.spec.max_replicas}): raise it, or accept "
                    "late requests while this revision serves alone",
                )
            )
        if decision.infeasible:
            found.append(
                Finding(
                    "ObjectiveInfeasible",
                    "True",
                    "WorkTooLong",
                    f"the work alone takes longer than {target.spec.objective.threshold_milliseconds} ms for more "
                    "requests than the objective allows, with any number of replicas: relax the objective, or "
                    "make the model faster; until then only waiting is kept short",
                )
            )
    if unmeasurable is not None:
        found.append(unmeasurable)
    if not_capacity is not None:
        despite = _MADE_SLOWER if in_vain and not_capacity == "MoreDidNotHelp" else _DESPITE[not_capacity]
        found.append(
            Finding(
                "NotCapacityBound",
                "True",
                not_capacity,
                f"requests are late {despite}: look at the network, the clients and "
                "what the model calls; more replicas would not help",
            )
        )
    if target.conflict is not None:
        found.append(Finding("Conflict", "True", "SecondScaler", target.conflict))
    return found


def _active(target: Target) -> Finding:
    if target.workload is None:
        name = target.spec.scale_target_ref.name
        return Finding(
            "ScalingActive",
            "False",
            "TargetMissing",
            f"there is no Deployment {name} in this namespace: create it",
        )
    if target.conflict is not None:
        return Finding("ScalingActive", "False", "Conflict", target.conflict)
    if target.spec.mode == "Advise":
        return Finding(
            "ScalingActive",
            "False",
            "Advise",
            "mode Advise only says what it would do: set mode Auto to scale",
        )
    return Finding("ScalingActive", "True", "Scaling", "the autoscaler sets the replicas")


def _signals(target: Target, observation: Observation, *, gpu_unseen: bool) -> Finding:
    kind, kept = "SignalsAvailable", "; replicas are not reduced meanwhile"
    for view in observation.views:
        if view.gate in (Gate.MISSING, Gate.STALE, Gate.IMPLAUSIBLE):
            return Finding(kind, "False", view.reason, view.message + kept)
    if gpu_unseen:
        return Finding(
            kind,
            "False",
            "NoGpuSeries",
            f"Prometheus has no DCGM_FI_PROF_GR_ENGINE_ACTIVE and no DCGM_FI_DEV_GPU_UTIL for pods of {target.key[1]}, "
            "which gpu.targetUtilizationPercent needs: have dcgm-exporter scraped, with the namespace and pod of the "
            f"workload, or remove the target{kept}",
        )
    if observation.partly_scraped:
        return Finding(kind, "True", "PartlyScraped", "some ready pods are not scraped yet")
    if not observation.usable:
        view = observation.pods if observation.pods.reason != "NoProfile" else observation.gateway
        return Finding(kind, "Unknown", view.reason, view.message)
    return Finding(kind, "True", "Fresh", "all signals that are expected are fresh")


def _limited(target: Target, decision: Decision) -> Finding:
    if decision.limited:
        return Finding(
            "ScalingLimited",
            "True",
            "MaxReplicas",
            f"demand takes more than maxReplicas ({target.spec.max_replicas}): raise it, or expect late requests",
        )
    if decision.held_by == "Budget":
        return Finding(
            "ScalingLimited",
            "True",
            "Budget",
            "demand takes more than the maxReplicas that all revisions share leave: raise it, or end the rollout",
        )
    return Finding("ScalingLimited", "False", "WithinBounds", "the bounds leave room for what demand takes")
