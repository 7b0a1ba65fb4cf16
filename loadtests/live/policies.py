"""The three policies as what a user applies: our class Auto, an HPA on CPU, a ScaledObject on requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Literal, get_args

from serving_api.names import API_VERSION, SERVICE_LABEL

Manifest = dict[str, Any]
Policy = Literal["ours", "hpa", "keda"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
UTILIZATION_PERCENT = 70.0
"""That HPA and KEDA are told to keep a replica at: of its CPU, and of what it can answer at most."""
HOLD_SECONDS = 60
"""For which the peers keep replicas. Their default of 300 would bill each of them for the whole turn."""
RATE_WINDOW = "1m"
MOST_REPLICAS = 6


def service(base: Mapping[str, Any], policy: Policy) -> Manifest:
    """Return the InferenceService under a policy.

    A pod requests the CPU that it is limited to, so that a utilisation is of what a replica has. Peers drive the class
    External through `/scale`, which says nothing of bounds: those are the peers' own.
    """
    made: Manifest = deepcopy(dict(base))
    resources = made["spec"]["predictor"]["model"]["resources"]
    resources["requests"]["cpu"] = resources["limits"]["cpu"]
    if policy != "ours":
        for bound in ("minReplicas", "maxReplicas"):
            made["spec"]["predictor"].pop(bound, None)
        made["spec"].pop("objective", None)
        made["spec"]["scaling"] = {"class": "External", "external": {"replicas": 1}}
        made["spec"]["rollout"] = {"promotion": "Manual", "soakSeconds": 5}
    else:
        made["spec"]["predictor"]["maxReplicas"] = MOST_REPLICAS
        # Nothing but what a user states: the objective.
        made["spec"]["scaling"] = {"class": "Auto", "mode": "Auto"}
    return made


def hpa(name: str) -> Manifest:
    """Return a HorizontalPodAutoscaler of the service, on the CPU of its pods."""
    metric = {
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": round(UTILIZATION_PERCENT)},
        },
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": _target(name),
            "minReplicas": 1,
            "maxReplicas": MOST_REPLICAS,
            "metrics": [metric],
            "behavior": _HELD,
        },
    }


def scaled_object(name: str, namespace: str, prometheus_url: str, work_seconds: float) -> Manifest:
    """Return a ScaledObject of the service, on the requests that the gateway counts; `work_seconds` of one request."""
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": _target(name),
            "minReplicaCount": 1,
            "maxReplicaCount": MOST_REPLICAS,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _HELD}},
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {
                        "serverAddress": prometheus_url,
                        "query": f"sum(rate({arrivals(name, namespace)}[{RATE_WINDOW}]))",
                        "threshold": f"{threshold(work_seconds):.3f}",
                    },
                }
            ],
        },
    }


def arrivals(name: str, namespace: str) -> str:
    """Return the selector of the counters of the requests that the gateway sends to a service."""
    return f'envoy_cluster_upstream_rq_total{{envoy_cluster_name=~"httproute/{namespace}/{name}/.*"}}'


def threshold(work_seconds: float) -> float:
    """Requests per second of one replica at the peers' utilisation."""
    return UTILIZATION_PERCENT / 100 / work_seconds


def autoscaler(name: str, deployment: str, objective: Mapping[str, Any]) -> Manifest:
    """Return an InferenceAutoscaler for a Deployment that a peer scales: what a replay of the peer's turn is exported for."""
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceAutoscaler",
        "metadata": {"name": deployment, "labels": {SERVICE_LABEL: name}},
        "spec": {
            "scaleTargetRef": {"name": deployment},
            "minReplicas": 1,
            "maxReplicas": MOST_REPLICAS,
            "objective": dict(objective),
            "signals": {"profile": "mlserver"},
        },
    }


_HELD = {"scaleDown": {"stabilizationWindowSeconds": HOLD_SECONDS}}


def _target(name: str) -> Manifest:
    return {"apiVersion": API_VERSION, "kind": "InferenceService", "name": name}
