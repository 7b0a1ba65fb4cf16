"""What the API server makes of our Deployments is what we take it for: as wanted, or it would be written for ever."""

from __future__ import annotations

from typing import Any

import pytest

from serving_api.names import OPERATOR
from serving_operator.children.deployment import deployment
from serving_operator.covers import covers
from serving_operator.watched import kept
from tests.contract.questions import Api
from tests.operator.children.services import recorded


def container(**fields: Any) -> dict[str, Any]:
    """A predictor with these fields of its container."""
    return {"container": {"image": "example.com/llm:1", **fields}}


VARIATIONS: dict[str, dict[str, Any]] = {
    "the least": {},
    "empty values": container(env=[{"name": "A", "value": ""}, {"name": "B", "value": "b"}], args=[], command=[]),
    "zeros in probes": container(
        readinessProbe={"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 0},
        livenessProbe={"tcpSocket": {"port": 8080}, "initialDelaySeconds": 0, "failureThreshold": 5},
    ),
    "amounts as people write them": container(
        resources={"requests": {"cpu": "0.5", "memory": "0.5Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}
    ),
    "values from elsewhere": container(
        env=[
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "a"}}},
        ]
    ),
    "where it may run": {
        "nodeSelector": {"disk": "", "zone": "a"},
        "tolerations": [{"operator": "Exists"}, {"key": "gpu", "effect": "NoSchedule", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}]
                }
            }
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
    },
    "a user": {"runAsUser": 1001, "runAsGroup": 1001, "fsGroup": 2000},
    "memory, claims and secrets": {
        "sharedMemory": "1024Mi",
        "persistentVolumeClaims": [{"claimName": "cache", "mountPath": "/cache", "readOnly": False}],
        "imagePullSecrets": [{"name": "registry"}],
        "terminationGracePeriodSeconds": 30,
    },
    "a model": {
        "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1", "env": [{"name": "A", "value": ""}]}
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VARIATIONS)
async def test_a_deployment_is_as_wanted_once_it_is_applied(api: Api, name: str) -> None:
    """Defaults, spelling and zeros that are not kept: after one apply nothing is left to write."""
    service, record = recorded(VARIATIONS[name])
    wanted = deployment(service, record, 1)
    metadata = {key: value for key, value in wanted["metadata"].items() if key != "ownerReferences"}
    wanted = wanted | {"metadata": metadata | {"namespace": api.namespace}}

    applied = await api.apply("deployments", wanted, OPERATOR)

    assert applied.status == 201, applied.body
    assert covers(kept(applied.body), wanted)
