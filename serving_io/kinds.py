"""The kinds that the programs speak, with their REST paths: static data, no discovery cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from serving_api.names import API_VERSION


@dataclass(frozen=True)
class Kind:
    """One API kind: `api_version` as manifests state it, `name` (its `kind`), `plural` (its path)."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def root(self) -> str:
        """Path of the group and version, where discovery lists its resources."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """REST path of the collection, of one object, or of an object's subresource."""
        if name is not None and self.namespaced and not namespace:
            raise ValueError(f"{self.name} {name!r} is namespaced: give its namespace")
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part is not None]
        return "/".join(parts)


CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
SECRET = Kind("v1", "Secret", "secrets")
SERVICE = Kind("v1", "Service", "services")
CONTROLLER_REVISION = Kind("apps/v1", "ControllerRevision", "controllerrevisions")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
REPLICA_SET = Kind("apps/v1", "ReplicaSet", "replicasets")
HORIZONTAL_POD_AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
SUBJECT_ACCESS_REVIEW = Kind(
    "authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
GATEWAY_CLASS = Kind("gateway.networking.k8s.io/v1", "GatewayClass", "gatewayclasses", namespaced=False)
GATEWAY = Kind("gateway.networking.k8s.io/v1", "Gateway", "gateways")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
SCALED_OBJECT = Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects")
INFERENCE_SERVICE = Kind(API_VERSION, "InferenceService", "inferenceservices")
INFERENCE_AUTOSCALER = Kind(API_VERSION, "InferenceAutoscaler", "inferenceautoscalers")
SERVING_RUNTIME = Kind(API_VERSION, "ServingRuntime", "servingruntimes")
CLUSTER_SERVING_RUNTIME = Kind(
    API_VERSION, "ClusterServingRuntime", "clusterservingruntimes", namespaced=False
)

OUR_KINDS = (INFERENCE_SERVICE, INFERENCE_AUTOSCALER, SERVING_RUNTIME, CLUSTER_SERVING_RUNTIME)
"""Kinds that our CRDs define. The operator waits for all of them, whatever it watches."""

KINDS: Mapping[tuple[str, str], Kind] = {
    (kind.api_version, kind.name): kind for kind in list(globals().values()) if isinstance(kind, Kind)
}
"""Every kind above by (apiVersion, kind)."""


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind that a manifest states; `ValueError` names what it states if it is none of ours."""
    stated = (str(manifest.get("apiVersion")), str(manifest.get("kind")))
    if stated not in KINDS:
        raise ValueError(
            f"no REST path is known for apiVersion {stated[0]!r}, kind {stated[1]!r}: add it to kinds"
        )
    return KINDS[stated]
