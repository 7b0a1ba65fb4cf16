"""The status: what was observed of a service, and what its rollout waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from serving_api.names import REVISION_LABEL, SERVICE_LABEL
from serving_operator.rollout import capacity
from serving_operator.rollout.commands import Ignored
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Move, text_of
from serving_operator.status import conditions
from serving_operator.status.address import url
from serving_operator.status.conditions import Said
from serving_operator.world import Manifest


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a status is made of; `move.state` is what is to be remembered."""

    observed: Observed
    move: Move
    ignored: tuple[Ignored, ...]
    conflicts: tuple[str, ...]
    lost: tuple[str, ...] = ()
    """Live revisions that nothing remembers."""


def status(report: Report) -> Manifest:
    """Return the whole status; what is absent from it is to disappear."""
    observed, state = report.observed, report.move.state
    live = observed.world.service.get("status") or {}
    revisions = capacity.live_revisions(state)
    made: Manifest = {
        "observedGeneration": observed.service.generation,
        "conditions": merged(live, _said(report), observed.service.generation, observed.now),
        "replicas": sum(observed.revision(revision).replicas for revision in revisions),
        "selector": selector(observed.name, revisions),
    }
    if (address := url(observed)) is not None:
        made["url"] = address
    if state.stable is not None:
        made["stable"] = state.stable.wire()
    if state.canary is not None:
        made["canary"] = state.canary.wire() | {"verdict": report.move.reason}
    if state.rejected:
        made["rejected"] = [entry.wire() for entry in state.rejected]
    if state.commands:
        made["commands"] = [entry.wire() for entry in state.commands]
    return made


def selector(service: str, revisions: list[str]) -> str:
    """Return the label selector of the pods of these revisions."""
    if not revisions:
        return f"{SERVICE_LABEL}={service}"
    return f"{SERVICE_LABEL}={service},{REVISION_LABEL} in ({','.join(sorted(revisions))})"


def merged(live: Manifest, said: list[Said], generation: int, now: datetime) -> list[Manifest]:
    """Return the conditions as the API keeps them; a transition is a change of status and nothing else."""
    before = {entry["type"]: entry for entry in live.get("conditions") or ()}
    made = []
    for entry in said:
        known = before.get(entry.type)
        kept = known is not None and known["status"] == entry.status
        made.append(
            {
                "type": entry.type,
                "status": entry.status,
                "reason": entry.reason,
                "message": entry.message[:32768],
                "observedGeneration": generation,
                "lastTransitionTime": known["lastTransitionTime"] if known and kept else text_of(now),
            }
        )
    return made


def _said(report: Report) -> list[Said]:
    observed, state, move = report.observed, report.move.state, report.move
    is_servable = conditions.servable(observed, state)
    ignored = tuple(entry.message for entry in report.ignored)
    said = [
        is_servable,
        conditions.ready(observed, state, is_servable),
        conditions.up_to_date(observed, state, move),
        conditions.route_programmed(observed),
        conditions.canary_healthy(observed, state),
        conditions.progress(observed, state, move, report.conflicts, report.lost),
        conditions.only_if("CommandIgnored", report.ignored[0].reason if ignored else "", ignored),
        conditions.only_if("NameConflict", "NotOurs", report.conflicts),
        conditions.reserve_limited(observed, state),
    ]
    return [entry for entry in said if entry is not None]
