"""The services of the soak, as users would write them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from loadtests.small_server import SERVER

NAMESPACE: Final = "soak"
Kind = Literal["judged", "manual"]
"""Who decides a service's rollouts: the judge, or a person."""
Build = Literal["good", "failing", "never-ready"]
OBJECTIVE_MILLISECONDS: Final = (300, 400)
TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True)
class Spec:
    """What of a service changes in the course of a soak."""

    name: str
    kind: Kind
    version: int = 1
    build: Build = "good"
    least: int = 1
    """Replicas."""
    objective_milliseconds: int = OBJECTIVE_MILLISECONDS[0]

    @property
    def host(self) -> str:
        """Under which the gateway serves it."""
        return f"{self.name}.{NAMESPACE}.localhost"


def manifest(spec: Spec) -> dict[str, Any]:
    """Return the InferenceService."""
    rollout: dict[str, Any] = {"steps": [{"weight": 30}], "soakSeconds": 5, "progressDeadlineSeconds": 120}
    if spec.kind == "judged":
        # Without evidence it goes on waiting: while Prometheus is away nobody is to decide.
        rollout |= {
            "analysis": {"source": "envoy-gateway", "windowSeconds": 10, "onInconclusive": "Extend"},
            "promotion": "Automatic",
        }
    command = ["python", "-c", SERVER]
    if spec.build == "never-ready":
        command = ["python", "-c", "raise SystemExit('this version cannot start')"]
    environment = {
        "VERSION": str(spec.version),
        "FAIL": "1" if spec.build == "failing" else "",
        "WORK_MS": "2",
    }
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": spec.name, "namespace": NAMESPACE},
        "spec": {
            "predictor": {
                "container": {
                    "image": "docker.io/library/python:3.11-slim",
                    "command": command,
                    "env": [{"name": name, "value": value} for name, value in environment.items()],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "32Mi"},
                        "limits": {"cpu": "200m", "memory": "128Mi"},
                    },
                    "readinessProbe": {
                        "httpGet": {"path": "/ready", "port": "http"},
                        "periodSeconds": 1,
                        "timeoutSeconds": 10,
                    },
                },
                "minReplicas": spec.least,
                "maxReplicas": 4,
                "timeout": TIMEOUT_SECONDS,
            },
            "objective": {"thresholdMilliseconds": spec.objective_milliseconds, "percent": 95},
            "scaling": {"scaleDownHoldSeconds": 60},
            "rollout": rollout,
            "route": {
                "parentRefs": [{"name": "local", "namespace": "gateway-system"}],
                "hostnames": [spec.host],
            },
        },
    }
