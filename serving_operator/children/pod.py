"""The pod of a revision, as the restricted Pod Security Standard wants it."""

from __future__ import annotations

from typing import Any

from serving_api.names import (
    CONTAINER,
    REVISION_LABEL,
    SERVICE_LABEL,
    child_labels,
    selector_labels,
)
from serving_api.predictor import Predictor
from serving_api.service import InferenceService
from serving_operator.runtimes.resolve import Runtime
from serving_operator.world import Manifest, Settings

DEFAULT_USER = 1000
DEFAULT_TIMEOUT_SECONDS = 60
"""The schema's default of predictor.timeout: so long every pod is given for its last requests."""
MARGIN_SECONDS = 10
TEMPORARY_PATH = "/tmp"  # noqa: S108  (the pod's own emptyDir)
SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108  (a memory volume of the pod's own)

_SECURITY: Manifest = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_TEMPORARY: Manifest = {"name": "tmp", "mountPath": TEMPORARY_PATH}

# Fields of the predictor that are fields of the pod, by the same name.
_PASSED_ON = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "schedulerName",
    "imagePullSecrets",
    "serviceAccountName",
)


def pod_template(
    service: InferenceService, revision: str, runtime: Runtime, *, settings: Settings
) -> Manifest:
    """Render metadata and spec of the revision's pods."""
    predictor = service.spec.predictor
    name = service.key.name
    scraping = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(runtime.metrics_port),
        "prometheus.io/path": "/metrics",
    }
    # The timeout makes no revision: pods keep what it was when theirs was recorded.
    longest_seconds = max(DEFAULT_TIMEOUT_SECONDS, predictor.timeout)
    grace_seconds = predictor.termination_grace_period_seconds or (
        settings.drain_seconds + longest_seconds + MARGIN_SECONDS
    )
    wire = predictor.wire()
    spec: dict[str, Any] = {key: wire[key] for key in _PASSED_ON if wire.get(key)}
    spec |= {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_seconds,
        "securityContext": _pod_security(runtime, predictor),
        "containers": [_container(runtime, predictor, min(settings.drain_seconds, grace_seconds))],
        "volumes": _volumes(runtime, predictor),
    }
    if runtime.model and (
        first := runtime.model.init_containers(settings.downloads, [_TEMPORARY], _SECURITY)
    ):
        spec["initContainers"] = first
    if wire.get("topologySpreadConstraints"):
        selector = {"labelSelector": {"matchLabels": selector_labels(name, revision)}}
        spec["topologySpreadConstraints"] = [
            constraint | selector for constraint in wire["topologySpreadConstraints"]
        ]
    if defaults := _tolerations(spec, settings):
        spec["tolerations"] = defaults
    return {
        "metadata": {
            "labels": (predictor.labels or {}) | child_labels(name, revision),
            "annotations": scraping | (predictor.annotations or {}),
        },
        "spec": spec,
    }


def _tolerations(spec: Manifest, settings: Settings) -> list[Manifest]:
    """Return the pod's own tolerations, and the administrator's for the accelerators that it asks for."""
    own = list(spec.get("tolerations") or ())
    asked = {
        name
        for container in spec["containers"]
        for name in (container.get("resources") or {}).get("limits") or {}
    }
    for accelerator in settings.accelerators:
        if accelerator.resource in asked:
            given = (toleration.wire() for toleration in accelerator.tolerations)
            own += [toleration for toleration in given if toleration not in own]
    return own


def has_accelerators(pod_template: Manifest) -> bool:
    """Whether a pod takes whole devices, of which there may be none to spare for a second one."""
    return any(
        "/" in resource
        for container in pod_template["spec"]["containers"]
        for resource in ((container.get("resources") or {}).get("limits") or {})
    )


def load_seconds(pod_template: Manifest) -> int | None:
    """Return for how long the startup probe lets the container load before it is restarted; None without one."""
    probe = pod_template["spec"]["containers"][0].get("startupProbe")
    if not probe:
        return None
    asked = int(probe.get("periodSeconds", 10)) * int(probe.get("failureThreshold", 3))
    return int(probe.get("initialDelaySeconds", 0)) + asked


def _pod_security(runtime: Runtime, predictor: Predictor) -> Manifest:
    # What the predictor says goes before what the runtime says of its image.
    image = runtime.source.spec if runtime.source else None
    stated = {
        "runAsGroup": predictor.run_as_group or (image and image.run_as_group),
        "fsGroup": predictor.fs_group or (image and image.fs_group),
    }
    return {
        "runAsNonRoot": True,
        "runAsUser": predictor.run_as_user or (image and image.run_as_user) or DEFAULT_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    } | {key: value for key, value in stated.items() if value is not None}


def _container(runtime: Runtime, predictor: Predictor, drain_seconds: int) -> Manifest:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": runtime.image,
        "env": _environment(runtime),
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in runtime.ports.items()
        ],
        "securityContext": _SECURITY,
        "volumeMounts": _mounts(runtime, predictor),
        **(runtime.probes or {}),
    }
    if runtime.command:
        container["command"] = list(runtime.command)
    if runtime.args:
        container["args"] = list(runtime.args)
    if resources := _resources(runtime.resources or {}):
        container["resources"] = resources
    if drain_seconds:
        # Endpoints and gateways learn of a leaving pod in their own time; it answers until they have.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": drain_seconds}}}
    return container


def _environment(runtime: Runtime) -> list[Manifest]:
    def of_the_pod(name: str, path: str) -> Manifest:
        return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}

    ours = [
        of_the_pod("SERVING_SERVICE", f"metadata.labels['{SERVICE_LABEL}']"),
        of_the_pod("SERVING_REVISION", f"metadata.labels['{REVISION_LABEL}']"),
        of_the_pod("POD_IP", "status.podIP"),
        # The home folder of the image is read-only.
        {"name": "HOME", "value": TEMPORARY_PATH},
    ]
    by_name = {variable["name"]: variable for variable in (*ours, *runtime.env)}
    return list(by_name.values())


def _resources(stated: Manifest) -> Manifest:
    limits = stated.get("limits") or {}
    requests = limits | (stated.get("requests") or {})
    return {key: value for key, value in {"limits": limits, "requests": requests}.items() if value}


def _volumes(runtime: Runtime, predictor: Predictor) -> list[Manifest]:
    volumes: list[Manifest] = [{"name": "tmp", "emptyDir": {}}]
    if shared_memory := _shared_memory(runtime, predictor):
        size = {"medium": "Memory", "sizeLimit": shared_memory}
        volumes.append({"name": "shared-memory", "emptyDir": size})
    if runtime.model:
        volumes += runtime.model.volumes()
    for index, mount in enumerate(predictor.persistent_volume_claims or ()):
        volumes.append(_claim_volume(f"claim-{index}", mount.claim_name))
    return volumes


def _shared_memory(runtime: Runtime, predictor: Predictor) -> str | None:
    return predictor.shared_memory or (runtime.source.spec.shared_memory if runtime.source else None)


def _claim_volume(name: str, claim: str) -> Manifest:
    return {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def _mounts(runtime: Runtime, predictor: Predictor) -> list[Manifest]:
    mounts: list[Manifest] = [_TEMPORARY]
    if _shared_memory(runtime, predictor):
        mounts.append({"name": "shared-memory", "mountPath": SHARED_MEMORY_PATH})
    if runtime.model:
        mounts.append(runtime.model.mount())
    for index, mount in enumerate(predictor.persistent_volume_claims or ()):
        writable = {"readOnly": True} if mount.read_only else {}
        mounts.append({"name": f"claim-{index}", "mountPath": mount.mount_path} | writable)
    return mounts
