"""A model that takes long to load: within its time the deadlines of the rollout are not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from serving_operator.rollout.live import is_leaving, is_ready
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import moment_of
from serving_operator.world import Manifest


def extended(observed: Observed, revision: str, ends: datetime) -> datetime:
    """Return the deadline, or, if that is later, until when a pod of the revision may still load."""
    loads = loads_until(observed, revision)
    return ends if loads is None else max(ends, loads)


def loads_until(observed: Observed, revision: str) -> datetime | None:
    """Return until when a pod of the revision may still load; None without `predictor.modelLoadSeconds`.

    Only the first start of a container counts: one that was restarted has had its time.
    """
    seen = observed.revision(revision)
    fields = ((seen.record or {}).get("data") or {}).get("fields") or {}
    seconds = fields.get("modelLoadSeconds")
    if not isinstance(seconds, int):
        return None
    started = [moment for pod in seen.pods for moment in _first_starts(pod)]
    return max(started) + timedelta(seconds=seconds) if started else None


def _first_starts(pod: Manifest) -> Iterator[datetime]:
    if is_ready(pod) or is_leaving(pod):
        return
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        running = (container.get("state") or {}).get("running") or {}
        if running.get("startedAt") and not container.get("restartCount"):
            yield moment_of(running["startedAt"])
