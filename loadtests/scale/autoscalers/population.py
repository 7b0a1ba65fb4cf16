"""Who is there: services with one revision, every tenth with two, each with its Deployment and InferenceAutoscaler. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from localcluster.objects import Object
from serving_api.names import API_VERSION, SERVICE_LABEL
from serving_io import kinds

NAMESPACES: Final = 20
OF_TWO: Final = 10
"""Every tenth service has two revisions."""
FIRST, SECOND = "0123abcd", "4567cdef"
"""Hashes of the revisions."""
MOST_REPLICAS: Final = 8
BUSY: Final = (0.2, 0.4, 0.7, 1.0, 1.4, 1.9)
"""Replicas that a revision's requests keep busy, by turns."""
FEW_BUSY: Final = 0.5
"""Share of its replicas that is busy when a Deployment is created."""


@dataclass(frozen=True)
class Kind:
    """What is served: the profile that its pods have, the mean work of a request, and how long it may take."""

    profile: str
    work_seconds: float
    threshold_milliseconds: int


KINDS: Final = (Kind("mlserver", 0.05, 500), Kind("vllm", 0.5, 2500))
"""By turns. The thresholds are bounds of the histograms of both servers and of the gateway."""


@dataclass(frozen=True)
class Member:
    """One revision of a service: what an InferenceAutoscaler scales."""

    number: int
    service: int
    revision: str
    weight_percent: int
    others: tuple[str, ...] = ()
    """Hashes of the service's other revisions."""

    @property
    def namespace(self) -> str:
        return f"team-{self.service % NAMESPACES:02d}"

    @property
    def service_name(self) -> str:
        return f"many-{self.service:05d}"

    @property
    def name(self) -> str:
        """Of Deployment and InferenceAutoscaler."""
        return f"{self.service_name}-{self.revision}"

    @property
    def kind(self) -> Kind:
        return KINDS[self.service % len(KINDS)]

    @property
    def busy(self) -> float:
        """Replicas that its requests keep busy when all begins."""
        return BUSY[self.service % len(BUSY)] * self.weight_percent / 100

    @property
    def rate(self) -> float:
        """Requests per second when all begins."""
        return self.busy / self.kind.work_seconds

    @property
    def replicas(self) -> int:
        """When all begins."""
        return min(MOST_REPLICAS, max(1, math.ceil(self.busy / FEW_BUSY)))


def population(autoscalers: int) -> list[Member]:
    """Return so many members, service by service."""
    members: list[Member] = []
    service = 0
    while len(members) < autoscalers:
        if service % OF_TWO == 0 and autoscalers - len(members) >= 2:
            members.append(Member(len(members), service, FIRST, 75, (SECOND,)))
            members.append(Member(len(members), service, SECOND, 25, (FIRST,)))
        else:
            members.append(Member(len(members), service, FIRST, 100))
        service += 1
    return members


def deployment(member: Member) -> Object:
    """Return the Deployment of a revision, of the size that the operator gives one."""
    labels = {"app.kubernetes.io/name": member.name, SERVICE_LABEL: member.service_name}
    container = {
        "name": "server",
        "image": "docker.io/library/python:3.11-slim",
        "ports": [{"name": "http", "containerPort": 8080}],
        "env": [{"name": "MODEL_NAME", "value": member.service_name}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": {"httpGet": {"path": "/v2/health/ready", "port": "http"}},
        "volumeMounts": [{"name": "model", "mountPath": "/mnt/models"}],
    }
    return {
        "apiVersion": kinds.DEPLOYMENT.api_version,
        "kind": kinds.DEPLOYMENT.name,
        "metadata": {"name": member.name, "labels": labels},
        "spec": {
            "replicas": member.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": [{"name": "model", "emptyDir": {}}]},
            },
        },
    }


def ready(replicas: int) -> Object:
    """Return the status of a Deployment whose replicas are all Ready."""
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    return {"status": counts}


def autoscaler(member: Member) -> Object:
    """Return the InferenceAutoscaler of a revision, as the operator writes one."""
    spec: Object = {
        "scaleTargetRef": {"name": member.name},
        "minReplicas": 1,
        "maxReplicas": MOST_REPLICAS,
        "objective": {"thresholdMilliseconds": member.kind.threshold_milliseconds, "percent": 99},
        "signals": {"profile": member.kind.profile},
        "share": {
            "of": [f"{member.service_name}-{each}" for each in sorted({member.revision, *member.others})],
            "weightPercent": member.weight_percent,
            "reservePercent": member.weight_percent,
        },
    }
    return {
        "apiVersion": API_VERSION,
        "kind": kinds.INFERENCE_AUTOSCALER.name,
        "metadata": {"name": member.name, "labels": {SERVICE_LABEL: member.service_name}},
        "spec": spec,
    }
