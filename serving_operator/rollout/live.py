"""What is live of one revision: its objects, its pods, and who of them answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest


def is_leaving(found: Manifest | None) -> bool:
    """Whether an object is being deleted: what it still has is not to be counted on."""
    return found is not None and bool(found["metadata"].get("deletionTimestamp"))


def is_over(pod: Manifest) -> bool:
    """Whether a pod has ended for good. Its object may stay for long, and takes nobody's place."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def is_ready(pod: Manifest) -> bool:
    """Whether a pod answers and is not leaving."""
    return not is_leaving(pod) and _readiness(pod).get("status") == "True"


def has_ceased_to_be_ready(pod: Manifest) -> bool:
    """Whether a pod's container runs and its readiness probe fails after it had succeeded; a start is none, nor a crash."""
    ready = _readiness(pod)
    since = ready.get("lastTransitionTime")
    if is_leaving(pod) or ready.get("status") != "False" or since is None:
        return False
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    running = [
        (entry.get("state") or {}).get("running") or {} for entry in containers if not entry.get("ready")
    ]
    started = [state["startedAt"] for state in running if state.get("startedAt")]
    # A pod is first called unready before its containers start, and again when one of them has ended.
    return any(moment_of(moment) < moment_of(since) for moment in started)


def _readiness(pod: Manifest) -> Mapping[str, Any]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == "Ready"), {})


def ready_targets(slices: tuple[Manifest, ...], service: str) -> set[str]:
    """Return the pods behind a Service that are ready; a pod with two addresses is one pod."""
    return {
        str((endpoint.get("targetRef") or {}).get("name") or endpoint.get("addresses"))
        for found in slices
        if (found["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
        for endpoint in found.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
    }


@dataclass(frozen=True)
class Revision:
    """What is live of one revision."""

    revision: str
    name: str
    record: Manifest | None
    deployment: Manifest | None
    autoscaler: Manifest | None
    pods: tuple[Manifest, ...]
    endpoints: int
    """Ready endpoints of the revision's Service; none of one that is not there or is being deleted."""

    @property
    def available(self) -> int:
        """Replicas that have been ready for minReadySeconds; none of a Deployment that is being deleted."""
        return 0 if is_leaving(self.deployment) else int(self._deployment_status.get("availableReplicas", 0))

    @property
    def ready(self) -> int:
        """Replicas that are ready."""
        return int(self._deployment_status.get("readyReplicas", 0))

    @property
    def replicas(self) -> int:
        """Replicas that exist."""
        return int(self._deployment_status.get("replicas", 0))

    @property
    def asked(self) -> int | None:
        """Replicas that the Deployment asks for; None without one."""
        return int(self.deployment["spec"].get("replicas", 1)) if self.deployment else None

    @property
    def has_ready_pod(self) -> bool:
        """Whether anybody answers now."""
        return any(is_ready(pod) for pod in self.pods)

    @property
    def answers(self) -> bool:
        """Whether somebody answers, and not only for a moment between two crashes."""
        # The pods are seen before their Deployment has counted them.
        return self.has_ready_pod and self.available > 0

    @property
    def _deployment_status(self) -> Mapping[str, Any]:
        return (self.deployment or {}).get("status") or {}
