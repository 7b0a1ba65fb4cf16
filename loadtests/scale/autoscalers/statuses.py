"""How often status was written, and whether more than numbers had changed: from the audit log, pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from loadtests.scale.audit import Request, request_of

RESOURCE: Final = "inferenceautoscalers"
CARRIES_STEP: Final = 5
"""Percent of what ready replicas carry that are worth a write during a rollout."""


@dataclass(frozen=True)
class StatusWrite:
    """One write of a status that was accepted."""

    place: tuple[str, str]
    """Namespace and name."""
    at: float
    says: tuple[Any, ...]
    """What it says, numbers aside."""


def write_of(event: Mapping[str, Any], user: str) -> StatusWrite | None:
    """Return the write of a status that an event of the audit log is, if it is one of this user's and was accepted."""
    request: Request = request_of(event)
    if request.user != user or (request.resource, request.subresource) != (RESOURCE, "status"):
        return None
    status = (event.get("requestObject") or {}).get("status")
    if request.code != 200 or not isinstance(status, dict):
        return None
    return StatusWrite((request.namespace, request.name), request.ended_seconds, _says(status))


def _says(status: Mapping[str, Any]) -> tuple[Any, ...]:
    reserve = dict(status.get("reserve") or {})
    carries = reserve.pop("carriesPercent", 0)
    return (
        status.get("observedGeneration"),
        status.get("observedReplicas"),
        status.get("desiredReplicas"),
        tuple(sorted(reserve.items())),
        carries // CARRIES_STEP,
        carries >= reserve.get("reservePercent", 0),
        tuple(sorted((one["type"], one["status"], one["reason"]) for one in status.get("conditions") or ())),
        tuple(sorted(set(status.get("learned") or {}) - {"capacityPerReplicaPerMinute"})),
    )


def figures(
    before: Iterable[StatusWrite], writes: Iterable[StatusWrite], seconds: float, autoscalers: int
) -> dict[str, Any]:
    """Return how often status was written in so many seconds; `before` are the writes until then.

    A refresh is a write that says what the one before it said, but for numbers.
    """
    said = {write.place: write.says for write in before}
    minutes: Counter[int] = Counter()
    refreshes: dict[tuple[str, str], int] = defaultdict(int)
    count, first = 0, None
    for write in writes:
        first = write.at if first is None else first
        count += 1
        minutes[int((write.at - first) // 60)] += 1
        if said.get(write.place) == write.says:
            refreshes[write.place] += 1
        said[write.place] = write.says
    return {
        "autoscalers": autoscalers,
        "seconds": round(seconds),
        "writes": count,
        "per_minute": round(60 * count / seconds, 1),
        "most_in_a_minute": max(minutes.values(), default=0),
        "refreshes": sum(refreshes.values()),
        "refreshes_of_one_most": max(refreshes.values(), default=0),
    }
