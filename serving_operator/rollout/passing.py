"""A step that was good, written where it acts: in the canary's InferenceAutoscaler, with the reserve that follows from it.

One write then records the verdict and asks for the next step's replicas. The status tells of it with the arrival at the
next weight, or after a while.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from serving_api.names import PASSING_ANNOTATION
from serving_api.status import CanaryStatus
from serving_operator.owned import annotation_is_ours
from serving_operator.rollout.live import is_leaving
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import State
from serving_operator.world import Manifest

_FIELDS: Final = ("id", "revision", "step", "phaseStartedAt", "evidence", "promotion")
"""Of the attempt under way: what a step that is passed changes, and whose it is."""


def can_be_written(observed: Observed, canary: CanaryStatus) -> bool:
    """Whether the attempt has an InferenceAutoscaler of ours to write it in, and its status tells of the step that it is at."""
    autoscaler = observed.revision(canary.revision).autoscaler
    told = State.of(observed.world.service.get("status") or {}).canary
    arrived = told is not None and (told.weight, told.step_started_at) == (
        canary.weight,
        canary.step_started_at,
    )
    return observed.automatic and autoscaler is not None and not is_leaving(autoscaler) and arrived


def annotation(canary: CanaryStatus) -> str:
    """Return what is written of an attempt that has passed a step."""
    said = canary.wire()
    return json.dumps(
        {name: said[name] for name in _FIELDS if name in said}, sort_keys=True, separators=(",", ":")
    )


def kept(autoscaler: Manifest | None) -> Mapping[str, str]:
    """Return the annotation as the operator wrote it: it stays until the next step is passed.

    Somebody else's is not stated, or it would be the operator's: who may edit an InferenceAutoscaler may for that not
    promote.
    """
    if autoscaler is None or not annotation_is_ours(autoscaler, PASSING_ANNOTATION):
        return {}
    there = autoscaler["metadata"].get("annotations") or {}
    return {PASSING_ANNOTATION: there[PASSING_ANNOTATION]} if PASSING_ANNOTATION in there else {}


def recovered(observed: Observed, state: State) -> State:
    """Return the state with a passed step that the status does not tell of yet.

    A step that has begun anew since, as without a Gateway API, was passed at another time.
    """
    canary = state.canary
    if canary is None or canary.abort is not None or not observed.automatic:
        return state
    written = _read(kept(observed.revision(canary.revision).autoscaler).get(PASSING_ANNOTATION))
    if written is None or written.id != canary.id:
        return state
    began = canary.phase_started_at or canary.started_at or ""
    if (written.phase_started_at or "") <= began:  # moments of one form: as texts they compare as in time
        return state
    return state.with_canary(
        step=written.step,
        phase_started_at=written.phase_started_at,
        evidence=written.evidence,
        promotion=written.promotion,
        held_seconds=None,
        hold=None,
    )


def _read(text: str | None) -> CanaryStatus | None:
    try:
        return CanaryStatus.model_validate_json(text) if text else None
    except ValidationError:
        return None
