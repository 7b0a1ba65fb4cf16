"""A model that takes long to load: within its time the deadlines of the rollout are not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from serving_operator.children.pod import load_seconds
from serving_operator.rollout.live import is_leaving, is_ready
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest

COUNTED: Final = timedelta(seconds=10)
"""Within this time the Deployment and the EndpointSlices tell of a pod that has been ready for minReadySeconds."""


def extended(observed: Observed, revision: str, ends: datetime) -> datetime:
    """Return the deadline, or, if that is later, until when a pod of the revision may still load or be counted as ready."""
    moments = (loads_until(observed, revision), _counted_at(observed, revision))
    return max([ends, *(moment for moment in moments if moment is not None)])


def loads_until(observed: Observed, revision: str) -> datetime | None:
    """Return until when a pod of the revision may still load; None without a limit of that.

    The limit is that of the recorded startup probe, which `predictor.modelLoadSeconds`, the runtime or the container
    itself has set. Only the first start of a container counts: one that was restarted has had its time.
    """
    seen = observed.revision(revision)
    template = ((seen.record or {}).get("data") or {}).get("podTemplate")
    seconds = load_seconds(template) if template else None
    if seconds is None:
        return None
    started = [moment for pod in seen.pods for moment in _first_starts(pod)]
    return max(started) + timedelta(seconds=seconds) if started else None


def _counted_at(observed: Observed, revision: str) -> datetime | None:
    since = [moment for pod in observed.revision(revision).pods for moment in _ready_since(pod)]
    patience = timedelta(seconds=observed.settings.min_ready_seconds) + COUNTED
    return max(since) + patience if since else None


def _ready_since(pod: Manifest) -> Iterator[datetime]:
    if not is_ready(pod):
        return
    for condition in pod["status"]["conditions"]:
        if condition["type"] == "Ready" and condition.get("lastTransitionTime"):
            yield moment_of(condition["lastTransitionTime"])


def _first_starts(pod: Manifest) -> Iterator[datetime]:
    if is_ready(pod) or is_leaving(pod):
        return
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        running = (container.get("state") or {}).get("running") or {}
        if running.get("startedAt") and not container.get("restartCount"):
            yield moment_of(running["startedAt"])
