"""What operator and autoscaler may do by `manifests/base/rbac-*.yaml`, as data; a test compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown
from servingctl.preflight.watched import Watched


class Right(NamedTuple):
    """One verb on one resource; `resource` with `/subresource`, `name` where only one object is meant."""

    program: str
    verb: str
    group: str
    resource: str
    name: str = ""
    is_local: bool = False
    """Whether it is needed in the namespace of the programs only."""


Lacking = Mapping[Right, tuple[str, ...] | Unasked]
"""Where a program lacks a right: namespaces, of which the empty one is the cluster as a whole; nowhere if it has it."""
_OURS = "serving-operator.dev"
_CHILDREN = "get list watch create patch delete"
_RULES: Sequence[tuple[str, str, str, str]] = (
    (OPERATOR, _OURS, "inferenceservices", "get list watch"),
    (OPERATOR, _OURS, "inferenceservices/status", "patch"),
    (OPERATOR, _OURS, "inferenceservices/finalizers", "update"),
    (OPERATOR, _OURS, "servingruntimes", "list watch"),
    (OPERATOR, _OURS, "clusterservingruntimes", "list watch"),
    (OPERATOR, _OURS, "inferenceautoscalers", _CHILDREN),
    (OPERATOR, "apps", "deployments", _CHILDREN),
    (OPERATOR, "apps", "controllerrevisions", _CHILDREN),
    (OPERATOR, "", "services", _CHILDREN),
    (OPERATOR, "policy", "poddisruptionbudgets", _CHILDREN),
    (OPERATOR, "gateway.networking.k8s.io", "httproutes", _CHILDREN),
    (OPERATOR, "gateway.networking.k8s.io", "gateways", "list watch"),
    (OPERATOR, "", "pods", "list watch"),
    (OPERATOR, "", "resourcequotas", "list"),
    (OPERATOR, "discovery.k8s.io", "endpointslices", "list watch"),
    (OPERATOR, "events.k8s.io", "events", "create"),
    (AUTOSCALER, _OURS, "inferenceautoscalers", "list watch"),
    (AUTOSCALER, _OURS, "inferenceautoscalers/status", "patch"),
    (AUTOSCALER, "apps", "deployments", "list watch"),
    (AUTOSCALER, "apps", "deployments/scale", "patch"),
    (AUTOSCALER, "autoscaling", "horizontalpodautoscalers", "list watch"),
    (AUTOSCALER, "keda.sh", "scaledobjects", "list watch"),
    (AUTOSCALER, "events.k8s.io", "events", "create"),
)
_OF_THE_CLUSTER = "clusterservingruntimes"
_RBAC: Mapping[str, str] = {
    OPERATOR: "manifests/base/rbac-operator.yaml",
    AUTOSCALER: "manifests/base/rbac-autoscaler.yaml",
}
"""What grants the rights to the whole cluster, and nothing else: images and the configuration stay. It names SYSTEM_NAMESPACE."""
_LEASES: Sequence[tuple[str, str, str]] = (
    (OPERATOR, "", "create"),
    (OPERATOR, OPERATOR, "get update"),
    (OPERATOR, AUTOSCALER, "get"),
    (AUTOSCALER, "", "create"),
    (AUTOSCALER, AUTOSCALER, "get update"),
)
RIGHTS: Sequence[Right] = tuple(
    Right(program, verb, group, resource)
    for program, group, resource, verbs in _RULES
    for verb in verbs.split()
) + tuple(
    Right(program, verb, "coordination.k8s.io", "leases", name, True)
    for program, name, verbs in _LEASES
    for verb in verbs.split()
)


def needed(watched: Mapping[str, Watched]) -> list[Right]:
    """Return the rights that programs need which watch these namespaces: kinds of the cluster only where they watch all."""
    return [
        right
        for right in RIGHTS
        if right.resource != _OF_THE_CLUSTER or not watched[right.program].namespaces
    ]


def findings(lacking: Lacking, watched: Mapping[str, Watched], system_namespace: str) -> list[Finding]:
    """Say per program which rights are missing."""
    found = []
    for program in (OPERATOR, AUTOSCALER):
        own = {right: places for right, places in lacking.items() if right.program == program}
        found.append(_judged(program, own, watched[program], system_namespace))
    return found


def _judged(program: str, own: Lacking, watched: Watched, system_namespace: str) -> Finding:
    check, account = f"rights of {program}", f"{system_namespace}:{program}"
    ask = f"kubectl auth can-i --list --as=system:serviceaccount:{account}{_inside(watched.namespaces[:1], ' -n ')}"
    missing: dict[tuple[str, ...], list[Right]] = {}
    for right, places in own.items():
        if isinstance(places, Unasked):
            return unknown(check, places, f"ask as somebody who may create subjectaccessreviews, or: {ask}")
        if places:
            missing.setdefault(places, []).append(right)
    if not missing:
        return ok(check, f"all are granted{_inside(watched.namespaces)}")
    said = "; ".join(f"{_spelled(rights)}{_inside(places)}" for places, rights in missing.items())
    if watched.doubt:
        why = f"which namespaces it was told ({watched.doubt}); unless they are others, it may not {said}"
        return unknown(check, Unasked(why), ask)
    everywhere = {watched.namespaces or ("",), (system_namespace,)}
    has_none = all(places in everywhere for places in own.values())
    words = f"none is granted{_inside(watched.namespaces)}" if has_none else f"it may not {said}"
    return failed(check, words, _remedy(program, watched.namespaces, system_namespace))


def _remedy(program: str, namespaces: Sequence[str], system_namespace: str) -> str:
    """Name what grants it, and no more than was meant: who has told namespaces may have no right to the cluster."""
    account = f"the service account {system_namespace}/{program}"
    if not namespaces:
        again = f"apply your own kustomization or chart again: it gives it to {account}"
        if system_namespace != SYSTEM_NAMESPACE:
            return again
        return f"{again}, as does kubectl apply --server-side -f {_RBAC[program]}"
    if tuple(namespaces) == (system_namespace,):
        return (
            "apply your own kustomization or chart again: made of manifests/overlays/single-namespace with "
            f"namespace: {system_namespace}, it gives it by Roles to {account}"
        )
    return (
        f"give it to {account} by Roles{_inside(namespaces)}, as manifests/overlays/single-namespace does in one; "
        "manifests/base gives it in all namespaces"
    )


def _inside(namespaces: Sequence[str], before: str = " in ") -> str:
    return before + ", ".join(namespaces) if any(namespaces) else ""


def _spelled(missing: Sequence[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in missing:
        resource, slash, sub = right.resource.partition("/")
        group = f".{right.group}" if right.group else ""
        named = f" {right.name}" if right.name else ""
        verbs.setdefault(f"{resource}{group}{slash}{sub}{named}", []).append(right.verb)
    return ", ".join(f"{'/'.join(listed)} {resource}" for resource, listed in verbs.items())
