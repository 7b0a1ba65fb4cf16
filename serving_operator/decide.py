"""From what was observed of a service to what is written: the one entry to all decisions about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from serving_api.service import InferenceService
from serving_operator import repair, routes
from serving_operator.covers import covers_status
from serving_operator.ensure import Ensured, checked
from serving_operator.rollout import (
    abort,
    acknowledge,
    attempts,
    bluegreen,
    capacity,
    cleanup,
    commands,
    deadlines,
    first,
    judgement,
    passing,
    previous,
    promote,
    rollback,
    routing,
    settled,
    steps,
)
from serving_operator.rollout.commands import Heard
from serving_operator.rollout.first_seen import facts
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import Gate, Move, State, Wait
from serving_operator.status import conditions, invalid, postponed, report
from serving_operator.status.events import transitions
from serving_operator.world import Plan, Settings, World, Write

LOOK_AGAIN_SECONDS = 15.0
"""During a rollout the world is looked at this often even if nothing is heard of it; and while strangers are in the way."""
SOON_SECONDS = 1.0


def decide(world: World, settings: Settings, now: datetime) -> Plan:
    """Return the writes that are due, the status if it has changed, and the events of its transitions.

    A plan holds at most one write of the rollout, because each is decided on having observed the one before.
    """
    if world.service["metadata"].get("deletionTimestamp"):
        return Plan()
    world = routes.resolved(world, settings.route)
    try:
        service = InferenceService.parse(world.service)
    except ValidationError as error:
        return _plan(world, (), invalid.status(world, error, now))
    seen = Observed(world, settings, now, service)
    since = facts(seen)
    observed = seen.since(since)
    told = State.of(world.service.get("status") or {})
    state = rollback.recovered(observed, attempts.recovered(observed, told))
    state = passing.recovered(observed, bluegreen.adapted(observed, state))
    heard = commands.hear(observed, state)
    recorded = repair.records(observed, state)
    drift = _settle(list(repair.repair(observed, state, recorded)))
    move = _move(observed, heard, state, drift.conflicts)
    if drift.adopts:
        move = Move(state, "Adopting", "Children without an owner are adopted first.")
    passed = repair.passed(observed, move.state, recorded) if move.passes else None
    decided = _settle([passed] if passed else [checked(observed, write) for write in move.writes])
    busy = bool(move.writes) or passed is not None or drift.adopts
    rest = cleanup.Cleanup((), ()) if busy else cleanup.clean_up(observed, state)
    writes = _without_twins((*decided.writes, *drift.writes, *rest.writes))
    conflicts = tuple(dict.fromkeys((*decided.conflicts, *drift.conflicts)))
    lost = tuple(name for name in capacity.live_revisions(state) if recorded[name] is None)
    status = report.status(report.Report(observed, move, heard.ignored, conflicts, lost))
    moments = (*move.look_again, *rest.look_again, *acknowledge.awaited(observed))
    if not set(observed.populated) <= set(previous.standing(observed, state)):
        moments = (*moments, conditions.leaves_by(observed, state))
    if decided.waits or drift.waits:
        moments = (*moments, now + timedelta(seconds=LOOK_AGAIN_SECONDS))
    live = world.service.get("status") or {}
    due = postponed.until(observed, state, status)
    if passed is not None and passed.write is not None:
        status = live  # told with what follows from it
    elif due is not None:
        status, moments = live, (*moments, due)
    return replace(_plan(world, writes, status, moments, now), since=since)


def _move(observed: Observed, heard: Heard, state: State, conflicts: tuple[str, ...]) -> Move:
    """Return the next move of the rollout: record a command, or act on the state as it was recorded."""
    if heard.accepted:
        # Recorded first, in a write of its own: what follows can neither be lost nor happen twice.
        reasons = {"Promote": promote.PROMOTING, "Abort": abort.BY_LABEL, "Retry": steps.PREPARING}
        command = heard.accepted[0]
        if rollback.is_asked(state, command):
            return rollback.begin(observed, heard.state)
        message = f"{command.kind} {command.id} is accepted."
        if command.kind == "Promote" and state.canary is not None:
            message = capacity.preparing(state.canary.revision, 100)
        return Move(heard.state, reasons[command.kind], message)
    if state.stable is None:
        held = conflicts and state.canary is not None and state.canary.revision == observed.wanted
        if held:
            return deadlines.waiting(observed, state, _in_the_way(conflicts), steps.PREPARING)
        return first.serve(observed, state)
    if state.canary is None:
        return settled.begin_if_asked(observed, state)
    why = abort.cause(observed, state)
    if why is not None:
        return abort.carry_out(observed, state, why)
    if conflicts:
        move = _held(observed, state, conflicts)
    elif (observed.routed and observed.route is None) or routing.is_drifted(observed, state):
        return deadlines.waiting(observed, state, steps.no_route(observed), steps.PREPARING)
    else:
        move = _advance(observed, state)
    if move.overdue:
        return abort.carry_out(observed, state, abort.overdue(observed, state))
    if move.abort is not None:
        return abort.carry_out(observed, move.state, move.abort)
    is_rolled_back = state.rolls_back and observed.wanted == state.stable.revision
    if observed.wanted != state.canary.revision and not is_rolled_back:
        way_out = commands.label_command(observed, "Abort", state.canary.id)
        message = (
            f"{move.message} Revision {observed.wanted} follows after it; or give this one up: {way_out}"
        )
        return replace(move, message=message)
    return move


def _advance(observed: Observed, state: State) -> Move:
    if state.rolls_back:
        return rollback.advance(observed, state)
    return promote.promote(observed, state) if state.promoted() else steps.advance(observed, state)


def _held(observed: Observed, state: State, conflicts: tuple[str, ...]) -> Move:
    """Wait for names that somebody else has; a canary that is worse than stable is aborted for all that."""
    state, bad = judgement.heard(observed, state)
    if bad is not None:
        return bad
    return deadlines.waiting(observed, state, _in_the_way(conflicts), steps.PREPARING)


@dataclass(frozen=True, slots=True)
class _Settled:
    writes: tuple[Write, ...]
    conflicts: tuple[str, ...]
    adopts: bool
    waits: bool


def _settle(ensured: list[Ensured]) -> _Settled:
    return _Settled(
        tuple(entry.write for entry in ensured if entry.write is not None),
        tuple(entry.conflict for entry in ensured if entry.conflict is not None),
        any(entry.adopts for entry in ensured),
        any(entry.waits for entry in ensured),
    )


def _without_twins(writes: tuple[Write, ...]) -> tuple[Write, ...]:
    """Keep the first write of each object: what was decided goes before what was there."""
    kept: dict[tuple[str, str], Write] = {}
    for write in writes:
        kept.setdefault((write.manifest["kind"], write.manifest["metadata"]["name"]), write)
    return tuple(kept.values())


def _in_the_way(conflicts: tuple[str, ...]) -> Gate:
    """Hold for an object that is not ours: that is no fault of the revision that needs its name."""
    return Gate(False, "NameConflict", " ".join(conflicts), Wait.LOST)


def _plan(
    world: World,
    writes: tuple[Write, ...],
    status: dict[str, object],
    moments: tuple[datetime, ...] = (),
    now: datetime | None = None,
) -> Plan:
    live = world.service.get("status") or {}
    changed = not covers_status(world.service, status)
    # What a moment changes is decided by then: to look again for one that has passed would go on without end.
    seconds = [(moment - now).total_seconds() for moment in moments if now is not None and moment > now]
    if writes or changed:
        seconds.append(SOON_SECONDS)
    if status.get("canary"):
        seconds.append(LOOK_AGAIN_SECONDS)
    return Plan(
        writes=writes,
        status=status if changed else None,
        service_version=world.service["metadata"].get("resourceVersion"),
        events=transitions(live, status, world.service) if changed else (),
        requeue_after_seconds=min(seconds) if seconds else None,
    )
