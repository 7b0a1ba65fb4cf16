"""The kinds that the fake serves, and what the API server adds to objects of the built-in ones."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from serving_io import kinds
from serving_io.kinds import Kind
from tests.fakes.kube.shapes import Json, Shape

_STATUS = {
    kinds.DEPLOYMENT, kinds.REPLICA_SET, kinds.SERVICE, kinds.POD_DISRUPTION_BUDGET, kinds.POD, kinds.NODE,
    kinds.NAMESPACE, kinds.HORIZONTAL_POD_AUTOSCALER, kinds.RESOURCE_QUOTA, kinds.CUSTOM_RESOURCE_DEFINITION,
    kinds.GATEWAY_CLASS, kinds.GATEWAY, kinds.HTTP_ROUTE, kinds.SCALED_OBJECT,
}  # fmt: skip
_NO_GENERATION = {
    kinds.CONFIG_MAP, kinds.CONTROLLER_REVISION, kinds.EVENT, kinds.LEASE, kinds.NAMESPACE, kinds.NODE,
    kinds.RESOURCE_QUOTA, kinds.SECRET, kinds.SERVICE,
}  # fmt: skip
_PUT_NEEDS_VERSION = {kinds.LEASE, kinds.CUSTOM_RESOURCE_DEFINITION}
_SCALE = {kinds.DEPLOYMENT: ".spec.replicas", kinds.REPLICA_SET: ".spec.replicas"}
GATEWAY_API = (kinds.GATEWAY_CLASS, kinds.GATEWAY, kinds.HTTP_ROUTE)
_OPTIONAL = {
    *GATEWAY_API, kinds.SCALED_OBJECT, kinds.INFERENCE_SERVICE, kinds.INFERENCE_AUTOSCALER, kinds.SERVING_RUNTIME,
    kinds.CLUSTER_SERVING_RUNTIME,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Resource:
    """One served kind. `scale` holds the paths of spec.replicas, status.replicas and the selector."""

    kind: Kind
    has_status: bool
    has_generation: bool = True
    put_needs_version: bool = False
    scale: tuple[str, str, str] | None = None
    schema: dict[str, Json] | None = None
    names: dict[str, Json] = field(default_factory=dict)
    is_custom: bool = False

    @property
    def shape(self) -> Shape:
        """How its fields merge."""
        if self.kind == kinds.CONTROLLER_REVISION:
            return Shape({"properties": {"data": {"x-kubernetes-map-type": "atomic"}}})
        return Shape(self.schema)

    @property
    def qualified(self) -> str:
        """As error messages call it: `deployments.apps`."""
        return f"{self.kind.plural}.{self.kind.group}".rstrip(".")


def built_in(gateway: bool, keda: bool) -> Iterator[Resource]:
    """Every kind that needs no CRD of ours."""
    optional = (GATEWAY_API if gateway else ()) + ((kinds.SCALED_OBJECT,) if keda else ())
    for kind in kinds.KINDS.values():
        if kind not in _OPTIONAL or kind in optional:
            scale = _SCALE.get(kind)
            yield Resource(
                kind,
                has_status=kind in _STATUS,
                has_generation=kind not in _NO_GENERATION,
                put_needs_version=kind in _PUT_NEEDS_VERSION or kind in optional,
                scale=(scale, ".status.replicas", "") if scale else None,
            )


def custom(crd: Json) -> Iterator[Resource]:
    """The kinds that a CustomResourceDefinition adds."""
    spec = crd["spec"]
    for version in spec["versions"]:
        if not version.get("served", True):
            continue
        subresources = version.get("subresources") or {}
        scale = subresources.get("scale")
        yield Resource(
            Kind(
                f"{spec['group']}/{version['name']}",
                spec["names"]["kind"],
                spec["names"]["plural"],
                spec["scope"] == "Namespaced",
            ),
            has_status="status" in subresources,
            put_needs_version=True,
            scale=scale
            and (scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath", "")),
            schema=(version.get("schema") or {}).get("openAPIV3Schema") or {},
            names=spec["names"],
            is_custom=True,
        )


def defaulted(resource: Resource, manifest: Json) -> Json:
    """A copy with the defaults and canonical quantities of the built-in kinds that the programs use."""
    manifest = _canonical_quantities(copy.deepcopy(manifest))
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return manifest
    match resource.kind:
        case kinds.DEPLOYMENT:
            _default(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
            strategy = spec.setdefault("strategy", {})
            _default(strategy, type="RollingUpdate")
            if strategy["type"] == "RollingUpdate":
                _default(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
            _default_pod(spec.get("template", {}).get("spec", {}))
        case kinds.POD:
            _default_pod(spec)
            _default(manifest.setdefault("status", {}), phase="Pending")
        case kinds.SERVICE:
            _default(spec, type="ClusterIP", sessionAffinity="None", internalTrafficPolicy="Cluster")
            for port in spec.get("ports") or ():
                _default(port, protocol="TCP", targetPort=port.get("port"))
        case kinds.HORIZONTAL_POD_AUTOSCALER:
            _default(spec, minReplicas=1)
        case kinds.HTTP_ROUTE:
            for parent in spec.get("parentRefs") or ():
                _default(parent, group="gateway.networking.k8s.io", kind="Gateway")
            for rule in spec.setdefault("rules", [{}]):
                _default(rule, matches=[{"path": {"type": "PathPrefix", "value": "/"}}])
                for backend in rule.get("backendRefs") or ():
                    _default(backend, group="", kind="Service", weight=1)
    return manifest


def immutable(resource: Resource, old: Json, new: Json) -> str | None:
    """The field that an update may not change but does."""
    if resource.kind == kinds.CONTROLLER_REVISION and old.get("data") != new.get("data"):
        return "data"
    if resource.kind == kinds.DEPLOYMENT and old["spec"].get("selector") != new["spec"].get("selector"):
        return "spec.selector"
    return None


def at(manifest: Json, path: str) -> Json:
    """The value at a path like `.spec.replicas`, or None."""
    for key in path.strip(".").split("."):
        manifest = manifest.get(key) if isinstance(manifest, dict) else None
    return manifest


def placed(path: str, value: Json) -> Json:
    """`{"spec": {"replicas": value}}` for `.spec.replicas`."""
    for key in reversed(path.strip(".").split(".")):
        value = {key: value}
    return value


def _default(target: dict[str, Any], **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


def _default_pod(spec: dict[str, Any]) -> None:
    _default(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        tag = container.get("image", "").rpartition("/")[2].partition(":")[2]
        _default(
            container,
            imagePullPolicy="IfNotPresent"
            if tag not in ("", "latest") or "@" in container["image"]
            else "Always",
            resources={},
            terminationMessagePath="/dev/termination-log",
            terminationMessagePolicy="File",
        )
        for port in container.get("ports") or ():
            _default(port, protocol="TCP")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe in container:
                _default(
                    container[probe],
                    timeoutSeconds=1,
                    periodSeconds=10,
                    successThreshold=1,
                    failureThreshold=3,
                )
                if "httpGet" in container[probe]:
                    _default(container[probe]["httpGet"], scheme="HTTP", path="/")


_SCALE_OF = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


def _canonical_quantities(value: Json, key: str = "") -> Json:
    if isinstance(value, list):
        return [_canonical_quantities(entry, key) for entry in value]
    if not isinstance(value, dict):
        return _quantity(value) if key in ("limits", "requests", "sizeLimit", "hard") else value
    inner = key if key in ("limits", "requests", "hard") else None
    return {name: _canonical_quantities(entry, inner or name) for name, entry in value.items()}


def _quantity(value: Json) -> Json:
    """`1000m` as `1`, `1024Mi` as `1Gi`, `0.5` as `500m`."""
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)(n|u|m|k|M|G|T|Ki|Mi|Gi|Ti)?", str(value))
    if matched is None:
        return value
    number, suffix = Decimal(matched[1]), matched[2] or ""
    if suffix.endswith("i"):
        steps = ["", "Ki", "Mi", "Gi", "Ti"]
        amount, step = number * 1024 ** steps.index(suffix), 0
        while amount and amount % 1024 == 0 and step < len(steps) - 1:
            amount, step = amount / 1024, step + 1
        return f"{amount.to_integral_value(ROUND_CEILING)}{steps[step]}"
    amount = number.scaleb(_SCALE_OF[suffix])
    for unit in ("T", "G", "M", "k", "", "m", "u", "n"):
        scaled = amount.scaleb(-_SCALE_OF[unit])
        if scaled == scaled.to_integral_value() and (scaled or unit == ""):
            return f"{int(scaled)}{unit}"
    return value
