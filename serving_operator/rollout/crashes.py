"""Containers of a canary that have ended by themselves at the present step: what they held was counted by nobody.

Windows in which the canary lacked replicas are no evidence, and what a runtime had counted ends with it: of a model that
crashes every few minutes only the quiet times would be judged, and they are good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from serving_api.rollout import Analysis
from serving_operator.rollout.disrupted import disruption
from serving_operator.rollout.live import is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, moment_of, text_of
from serving_operator.world import Manifest

UNSEEN = "Unknown"
"""The reason of an end that the node did not see: it was started anew, and its containers with it."""


class Crash(NamedTuple):
    """The last end of a container by itself, and until when nothing is Good for it."""

    said: str
    matters_until: datetime


def crash(observed: Observed, state: State, analysis: Analysis) -> Crash | None:
    """Return the last crash at the present step. It matters for as long as the evidence of a step may take."""
    canary = state.canary
    assert canary is not None
    if canary.step_started_at is None:
        return None
    begins = moment_of(canary.step_started_at)
    ends = [
        (moment_of(end["finishedAt"]), pod["metadata"]["name"], end)
        for pod in observed.revision(canary.revision).pods
        if not is_leaving(pod) and disruption(pod) is None
        for end in _ends(pod)
    ]
    at, name, end = max(ends, key=lambda found: found[:2], default=(begins, "", {}))
    if not name or at < begins:
        return None
    why = f"exit code {end.get('exitCode')}" + (f", {end['reason']}" if end.get("reason") else "")
    return Crash(
        f"A container of pod {name} ended by itself at {text_of(at)} ({why}), and nobody counted what it held: within "
        f"{analysis.step_deadline_seconds} s of that the canary is not called good.",
        at + timedelta(seconds=analysis.step_deadline_seconds),
    )


def _ends(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        for state in ("state", "lastState"):
            end = (container.get(state) or {}).get("terminated") or {}
            if end.get("finishedAt") and end.get("reason") != UNSEEN:
                yield end
