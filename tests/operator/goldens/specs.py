"""Services as users write them, each with other fields that shape its pods."""

from __future__ import annotations

from typing import Any

MODEL: dict[str, Any] = {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/digits/v1"}
IMAGE = "registry.example.com/team/server:1.4"

PREDICTORS: dict[str, dict[str, Any]] = {
    "model": {"model": MODEL},
    "model-tuned": {
        "model": MODEL
        | {
            "runtime": "mlserver",
            "env": [{"name": "MLSERVER_PARALLEL_WORKERS", "value": "2"}],
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"cpu": "1000m", "memory": "2048Mi"},
            },
        },
        "modelLoadSeconds": 1800,
    },
    "container": {"container": {"image": IMAGE}},
    "container-words": {
        "container": {
            "image": IMAGE,
            "command": ["/bin/serve"],
            "args": ["--port", "8080", "--model=/models/llama"],
            "env": [
                {"name": "LOG_LEVEL", "value": "info"},
                {
                    "name": "TOKEN",
                    "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token", "optional": True}},
                },
                {"name": "FLAGS", "valueFrom": {"configMapKeyRef": {"name": "flags", "key": "all"}}},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            ],
        },
        "modelLoadSeconds": 900,
    },
    "accelerators": {
        "container": {
            "image": IMAGE,
            "args": ["--tensor-parallel-size=2"],
            "resources": {
                "requests": {"cpu": 8, "memory": "64Gi"},
                "limits": {"memory": "64Gi", "nvidia.com/gpu": 2},
            },
        },
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "sharedMemory": "8Gi",
    },
    "probes": {
        "container": {
            "image": IMAGE,
            "ports": [{"name": "http", "containerPort": 9000}, {"name": "metrics", "containerPort": 9001}],
            "readinessProbe": {"httpGet": {"path": "/ready"}, "periodSeconds": 2, "timeoutSeconds": 3},
            "livenessProbe": {"tcpSocket": {"port": "http"}, "failureThreshold": 10},
            "startupProbe": {"exec": {"command": ["/bin/check", "--started"]}, "failureThreshold": 120},
        },
    },
    "volumes": {
        "container": {"image": IMAGE},
        "persistentVolumeClaims": [
            {"claimName": "weights", "mountPath": "/models", "readOnly": True},
            {"claimName": "cache", "mountPath": "/var/cache/server"},
        ],
        "sharedMemory": "1024Mi",
    },
    "placement": {
        "container": {"image": IMAGE},
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
                    ]
                }
            }
        },
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "serving", "effect": "NoExecute"}],
        "priorityClassName": "serving",
        "schedulerName": "bin-packer",
        "runtimeClassName": "gvisor",
    },
    "identity": {
        "container": {"image": IMAGE},
        "serviceAccountName": "reader",
        "imagePullSecrets": [{"name": "registry"}],
        "runAsUser": 1234,
        "runAsGroup": 2345,
        "fsGroup": 3456,
    },
    "patient": {"container": {"image": IMAGE}, "timeout": 600},
    "labelled": {
        "container": {"image": IMAGE},
        "labels": {"team": "vision"},
        "annotations": {"example.com/owner": "vision"},
        "terminationGracePeriodSeconds": 300,
        "timeout": 120,
    },
}


def service(predictor: dict[str, Any]) -> dict[str, Any]:
    """Return the whole service around a predictor."""
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "digits", "namespace": "team", "uid": "00000000-0000-0000-0000-000000000001"},
        "spec": {
            "predictor": predictor | {"minReplicas": 1, "maxReplicas": 4},
            "objective": {"thresholdMilliseconds": 300},
        },
    }
