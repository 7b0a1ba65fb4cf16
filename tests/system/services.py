"""The small services of the system tests, and the stages of their rollouts."""

from __future__ import annotations

from typing import Any

from loadtests.small_server import SERVER
from serving_io import kinds
from serving_io.kinds import Kind
from tests.api.manifests import edited
from tests.system.kube import Kube, Manifest, holds

QUIET_RATE = 2.0
"""Requests per second: about a fifth of what one replica carries."""


def overload(replicas: int, work_milliseconds: float) -> float:
    """Requests per second that are more than so many replicas could ever carry, on a machine of any speed."""
    return (replicas + 0.7) * 1000 / work_milliseconds


def web_service(
    name: str = "digits", version: str = "1", *, host: str | None = None, **edits: Any
) -> Manifest:
    """A small container that burns CPU for each request and answers with its revision; `version` shapes the pod."""
    made: Manifest = {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "container": {
                    "image": "docker.io/library/python:3.11-slim",
                    "command": ["python", "-c", SERVER],
                    "env": [{"name": "VERSION", "value": version}],
                    "resources": {
                        "requests": {"cpu": "20m", "memory": "32Mi"},  # many tests share one node
                        "limits": {"cpu": "200m", "memory": "128Mi"},
                    },
                    "readinessProbe": {
                        "httpGet": {"path": "/ready", "port": "http"},
                        "periodSeconds": 1,
                        "timeoutSeconds": 10,  # a machine that others use as well makes nobody unready
                    },
                },
                "minReplicas": 1,
                "maxReplicas": 4,
                "timeout": 5,
            },
            "objective": {"thresholdMilliseconds": 300},
            "scaling": {"scaleDownHoldSeconds": 30},
            "rollout": {"steps": [{"weight": 20}], "soakSeconds": 2},
            "route": {
                "parentRefs": [{"name": "local", "namespace": "gateway-system"}],
                "hostnames": [host or f"{name}.example.com"],
            },
        },
    }
    return edited(made, {key.replace("__", "."): value for key, value in edits.items()})


REVISION_KINDS = (
    kinds.CONTROLLER_REVISION,
    kinds.SERVICE,
    kinds.POD_DISRUPTION_BUDGET,
    kinds.INFERENCE_AUTOSCALER,
    kinds.DEPLOYMENT,
)
"""Kinds of the children that each revision has, all of one name."""


def canary_weight(route: Manifest, attempt: str) -> int:
    """The weight of an attempt's revision in a version of the route; 0 if it has none."""
    (rule,) = route["spec"]["rules"]
    name = f"{route['metadata']['name']}-{attempt.split('-')[0]}"
    return sum(backend["weight"] for backend in rule["backendRefs"] if backend["name"] == name)


def children(name: str, *revisions: str) -> list[tuple[Kind, str]]:
    """Kind and name of every child of a service of class Auto with these live revisions."""
    of_revisions = [(kind, f"{name}-{revision}") for revision in revisions for kind in REVISION_KINDS]
    return [(kinds.SERVICE, name), (kinds.HTTP_ROUTE, name), *of_revisions]


def first_revision(kube: Kube, namespace: str, manifest: Manifest) -> str:
    """Apply a new service and wait until its first revision is committed; return the revision."""
    kube.apply(namespace, manifest)
    name = manifest["metadata"]["name"]
    kube.until("the first revision is committed", lambda: holds(kube.status(namespace, name), "UpToDate"))
    committed: str = kube.status(namespace, name)["stable"]["revision"]
    return committed


def canary_at_step(kube: Kube, namespace: str, manifest: Manifest) -> str:
    """Apply a changed predictor and wait until its canary has its weight; return the attempt's id."""
    kube.apply(namespace, manifest)
    name, weight = manifest["metadata"]["name"], manifest["spec"]["rollout"]["steps"][0]["weight"]
    kube.until(
        f"the canary has {weight}%",
        lambda: (
            (canary := kube.status(namespace, name).get("canary", {})).get("weight") == weight
            and canary["id"]
        ),
    )
    attempt: str = kube.status(namespace, name)["canary"]["id"]
    return attempt


def committed(kube: Kube, namespace: str, attempt: str, name: str = "digits") -> Manifest:
    """Wait until an attempt is the stable one and nothing of a canary is left; return the status."""
    kube.until(
        f"{attempt} is committed and the old revision is gone",
        lambda: (
            (status := kube.status(namespace, name)).get("stable", {}).get("id") == attempt
            and not status.get("canary")
            and len(kube.list(kinds.DEPLOYMENT, namespace, f"serving-operator.dev/service={name}")) == 1
        ),
    )
    return kube.status(namespace, name)


def pods_of(kube: Kube, namespace: str, revision: str) -> list[Manifest]:
    """The pods of a revision that are not ending."""
    found = kube.list(kinds.POD, namespace, f"serving-operator.dev/revision={revision}")
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def autoscaler(kube: Kube, namespace: str, service: str = "digits") -> Manifest:
    """The one InferenceAutoscaler of a service."""
    (found,) = kube.list(kinds.INFERENCE_AUTOSCALER, namespace, f"serving-operator.dev/service={service}")
    return found


def replicas(kube: Kube, namespace: str, service: str = "digits") -> Manifest:
    """Replicas that a service's one Deployment is told to have, and has ready."""
    (found,) = kube.list(kinds.DEPLOYMENT, namespace, f"serving-operator.dev/service={service}")
    return {"wanted": found["spec"]["replicas"], "ready": found["status"].get("readyReplicas", 0)}
