"""The runtime that is there without any ServingRuntime: MLServer for scikit-learn.

The same as manifests/runtimes/mlserver.yaml, which takes its place when applied.
"""

from __future__ import annotations

from typing import Any

_READY = {"httpGet": {"path": "/v2/health/ready", "port": "http"}}

MLSERVER: dict[str, Any] = {
    "kind": "BuiltIn",
    "metadata": {"name": "mlserver"},
    "spec": {
        "supportedModelFormats": [{"name": "sklearn", "autoSelect": True}],
        "signals": {"profile": "mlserver"},
        "runAsUser": 1000,
        "containers": [
            {
                "name": "model",
                "image": "docker.io/seldonio/mlserver:1.7.1-sklearn",
                "command": ["mlserver", "start", "/mnt/models"],
                "ports": [
                    {"name": "http", "containerPort": 8080},
                    {"name": "metrics", "containerPort": 8082},
                ],
                "env": [
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108
                    {"name": "NUMBA_CACHE_DIR", "value": "/tmp/numba"},  # noqa: S108
                    {"name": "MLSERVER_HTTP_PORT", "value": "8080"},
                    {"name": "MLSERVER_METRICS_PORT", "value": "8082"},
                    {"name": "MLSERVER_DEBUG", "value": "false"},
                    # One process per pod: replicas are how a service grows, and a second process would hide its load.
                    {"name": "MLSERVER_PARALLEL_WORKERS", "value": "0"},
                    # These default to folders of the image, which is read-only.
                    {"name": "MLSERVER_ENVIRONMENTS_DIR", "value": "/tmp/environments"},  # noqa: S108
                    {"name": "MLSERVER_METRICS_DIR", "value": "/tmp/metrics"},  # noqa: S108
                    # For a folder without model-settings.json; what that file says goes before these.
                    {"name": "MLSERVER_MODEL_NAME", "value": "$(SERVING_SERVICE)"},
                    {"name": "MLSERVER_MODEL_IMPLEMENTATION", "value": "mlserver_sklearn.SKLearnModel"},
                    {"name": "MLSERVER_MODEL_URI", "value": "/mnt/models"},
                ],
                # Asked often, because its success is what the measured start time ends with.
                "startupProbe": _READY | {"periodSeconds": 2, "timeoutSeconds": 5, "failureThreshold": 300},
                # The model computes in the server's own loop: a busy pod answers late, and that is no reason to
                # take it away from the others.
                "readinessProbe": _READY | {"periodSeconds": 5, "timeoutSeconds": 10, "failureThreshold": 6},
                "livenessProbe": {
                    "httpGet": {"path": "/v2/health/live", "port": "http"},
                    "periodSeconds": 20,
                    "timeoutSeconds": 20,
                    "failureThreshold": 6,
                },
            }
        ],
    },
}
