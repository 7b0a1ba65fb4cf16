"""Pods that were taken from a service: evicted, drained, preempted, or lost with their node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest

TARGET: Final = "DisruptionTarget"
"""The condition that whoever ends a pod for a reason that is not its own sets before (Kubernetes, "Disruptions")."""
NODE_GONE: Final = "DeletionByPodGC"
"""Its reason where nobody has announced the end: the pod's Node was found to be gone."""
UNNOTICED: Final = timedelta(seconds=90)
"""For how long a node may be gone before the control plane says so of its pods. By the defaults of Kubernetes: 50 s
without a heartbeat, which comes every 10 s; of a deleted Node 40 s, looked at every 20 s."""


def disruption(pod: Manifest, *, gone: bool = False) -> tuple[datetime, datetime] | None:
    """Return from when until when a pod may lose requests because it is taken; None if it is not.

    Of a pod that is not gone yet the end is the latest one: that of its grace.
    """
    status = pod.get("status") or {}
    conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
    given_up = _given_up(conditions)
    if given_up is not None:
        return given_up - UNNOTICED, given_up
    target = conditions.get(TARGET) or {}
    if target.get("status") != "True" or not target.get("lastTransitionTime"):
        return None
    said = moment_of(target["lastTransitionTime"])
    since = said - UNNOTICED if target.get("reason") == NODE_GONE else said
    ends = _finished(status)
    if not gone:
        ends.append(pod["metadata"].get("deletionTimestamp"))
    return since, max([said, *(moment_of(text) for text in ends if text)])


def _given_up(conditions: Mapping[str, Mapping[str, Any]]) -> datetime | None:
    """Return when the control plane gave up a pod with its node.

    Nobody else calls a pod unready whose containers are ready without giving a reason.
    """
    ready, containers = conditions.get("Ready") or {}, conditions.get("ContainersReady") or {}
    if (ready.get("status"), containers.get("status")) != ("False", "True") or ready.get("reason"):
        return None
    since = ready.get("lastTransitionTime")
    return moment_of(since) if since else None


def _finished(status: Mapping[str, Any]) -> list[str | None]:
    """Return when the pod's containers have ended."""
    containers = status.get("containerStatuses") or ()
    return [
        ((container.get("state") or {}).get("terminated") or {}).get("finishedAt") for container in containers
    ]
