"""What operator and autoscaler may do by `manifests/base/rbac-*.yaml`, as data; a test compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving_api.names import AUTOSCALER, OPERATOR
from servingctl.preflight.finding import Finding, Unasked, failed, ok, unknown


class Right(NamedTuple):
    """One verb on one resource; `resource` with `/subresource`, `name` where only one object is meant."""

    program: str
    verb: str
    group: str
    resource: str
    name: str = ""
    is_local: bool = False
    """Whether it is needed in the namespace of the programs only."""


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


def findings(answers: Mapping[Right, bool | Unasked], system_namespace: str) -> list[Finding]:
    """Say per program which rights are missing."""
    found = []
    for program in (OPERATOR, AUTOSCALER):
        check = f"rights of {program}"
        own = {right: answer for right, answer in answers.items() if right.program == program}
        unasked = [answer for answer in own.values() if isinstance(answer, Unasked)]
        missing = [right for right, answer in own.items() if answer is False]
        if unasked:
            found.append(
                unknown(
                    check,
                    unasked[0],
                    f"ask as somebody who may create subjectaccessreviews, or: {_ask(program, system_namespace)}",
                )
            )
        elif missing:
            remedy = f"kubectl apply --server-side -k manifests/base gives it to the service account {system_namespace}/{program}"
            found.append(
                failed(
                    check,
                    f"it may not {_spelled(missing)}" if len(missing) < len(own) else "none is granted",
                    remedy,
                )
            )
        else:
            found.append(ok(check, f"all {len(own)} are granted"))
    return found


def _ask(program: str, namespace: str) -> str:
    return f"kubectl auth can-i --list --as=system:serviceaccount:{namespace}:{program}"


def _spelled(missing: Sequence[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in missing:
        resource, slash, sub = right.resource.partition("/")
        group = f".{right.group}" if right.group else ""
        named = f" {right.name}" if right.name else ""
        verbs.setdefault(f"{resource}{group}{slash}{sub}{named}", []).append(right.verb)
    return ", ".join(f"{'/'.join(listed)} {resource}" for resource, listed in verbs.items())
