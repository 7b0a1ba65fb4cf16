"""What a status may tell later, with what follows from it: each write of it is one that everybody who watches is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from serving_operator.covers import covers_status
from serving_operator.rollout import acknowledge, deadlines
from serving_operator.rollout.first_seen import pods_counted
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State, moment_of, text_of
from serving_operator.world import Manifest

PATIENCE: Final = timedelta(seconds=30)
_GOING_ON: Final = (deadlines.ADVANCING, deadlines.PROMOTING)
"""Stages in which nothing is wrong and nobody is waited for."""
_OF_THE_STAGE: Final = ("UpToDate", "Reconciling", "CanaryHealthy")


def until(observed: Observed, known: State, status: Manifest) -> datetime | None:
    """Return when the status is due; None if it is now.

    `known` is the attempt as it is recorded, in the live status or in the canary's InferenceAutoscaler. A changed number
    of pods may wait, and that a stage has begun in which the rollout goes on by itself.
    """
    service = observed.world.service
    live: Manifest = service.get("status") or {}
    if not observed.automatic or known.canary is None or "replicas" not in live or "canary" not in live:
        return None
    moments = []
    later = status
    if status["replicas"] != live["replicas"]:
        later = later | {"replicas": live["replicas"]}
        moments.append(observed.first_seen(pods_counted(status["replicas"])) + PATIENCE)
    goes_on = (status.get("canary") or {}).get("verdict") in _GOING_ON
    recorded = known.canary.wire() | {"verdict": live["canary"].get("verdict")}
    if goes_on and later["canary"] | {"verdict": recorded["verdict"]} == recorded:
        later = later | {"canary": live["canary"], "conditions": _as_told(live, later)}
        moments.append(_stage_began(observed, known) + PATIENCE)
    if not moments or not covers_status(service, later):
        return None
    due = min(moments)
    return due if due > observed.now else None


def _stage_began(observed: Observed, known: State) -> datetime:
    """Return since when the rollout goes on: from the verdict, or at the first weight from the write of the route."""
    assert known.canary is not None
    fact = None if known.canary.weight else acknowledge.fact(observed, "generation")
    if fact is not None:
        return observed.first_seen(fact)
    return moment_of(known.canary.phase_started_at or known.canary.started_at or text_of(observed.now))


def _as_told(live: Manifest, status: Manifest) -> list[Manifest]:
    told = {entry["type"]: entry for entry in live.get("conditions") or ()}
    return [
        told.get(entry["type"], entry)
        if entry["type"] in _OF_THE_STAGE and _is_no_worse(told.get(entry["type"]), entry)
        else entry
        for entry in status["conditions"]
    ]


def _is_no_worse(before: Manifest | None, after: Manifest) -> bool:
    return before is not None and (before["status"] == after["status"] or after["status"] == "True")
