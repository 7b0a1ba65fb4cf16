"""Wrong operators, each by one small change: the campaign has to notice every one of them.

A mutant replaces names for the time of a run. `change(old) -> new` makes the wrong thing out of the right one.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

from loadtests.replaced import Change, replaced
from serving_operator.cache import place_of
from serving_operator.rollout.live import Revision
from serving_operator.rollout.observed import Observed
from serving_operator.rollout.state import OPEN, Move, State
from serving_operator.world import Plan, Write

ROLLOUT = "serving_operator.rollout"


@dataclass(frozen=True)
class Mutant:
    """One wrong operator."""

    name: str
    target: str
    """`module:attribute` or `module:Class.attribute`."""
    change: Change


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str, target: str) -> Callable[[Change], Change]:
    """Add a change to the list."""

    def add(change: Change) -> Change:
        MUTANTS[name] = Mutant(name, target, change)
        return change

    return add


@contextlib.contextmanager
def applied(name: str) -> Iterator[None]:
    """Let the operator be this mutant while the block lasts."""
    with replaced(MUTANTS[name].target, MUTANTS[name].change):
        yield


def always(value: Any) -> Change:
    """Answer the same whatever is asked."""
    return lambda old: lambda *_, **__: value


def on_plan(change: Callable[[Plan], Plan]) -> Change:
    """Change every plan."""
    return lambda old: lambda *arguments: change(old(*arguments))


def on_writes(change: Callable[[tuple[Write, ...]], tuple[Write, ...]]) -> Change:
    """Change the writes of every plan."""
    return on_plan(lambda plan: dataclasses.replace(plan, writes=change(plan.writes)))


DECIDE = "serving_operator.program:decide"
EXECUTOR = "serving_operator.executor:Executor"

mutant("capacity-gate-dropped", f"{ROLLOUT}.capacity:capacity_gate")(always(OPEN))
mutant("ready-gate-dropped", f"{ROLLOUT}.capacity:_ready_gate")(always(OPEN))
mutant("stable-gate-dropped", f"{ROLLOUT}.capacity:stable_gate")(always(OPEN))
mutant("autoscaler-gate-dropped", f"{ROLLOUT}.capacity:autoscaler_gate")(always(OPEN))
mutant("acknowledgement-ignored", f"{ROLLOUT}.acknowledge:_answer")(
    lambda old: lambda *a, **k: dataclasses.replace(old(*a, **k), given=True)
)
mutant("route-gate-dropped", f"{ROLLOUT}.steps:route_gate")(always(OPEN))
mutant("never-drifted", f"{ROLLOUT}.routing:is_drifted")(always(False))
mutant("leaving-backends-dropped", f"{ROLLOUT}.routing:with_leaving")(
    lambda old: lambda observed, weights: dict(weights)
)
mutant("unused-at-once", f"{ROLLOUT}.first_seen:is_unused")(always(True))
mutant("no-patience-for-the-leaving", f"{ROLLOUT}.cleanup:_patience")(always(timedelta()))
mutant("stable-service-switch-not-awaited", f"{ROLLOUT}.observed:Observed.stable_service_only_selects")(
    always(True)
)
mutant("never-deletes", f"{ROLLOUT}.cleanup:_deletions")(always(()))
mutant("any-label-promotes", f"{ROLLOUT}.commands:_refusal")(
    lambda old: (
        lambda observed, state, kind, value: None if kind == "Promote" else old(observed, state, kind, value)
    )
)
mutant("unbound-label", f"{ROLLOUT}.state:State.commanded")(
    lambda old: lambda self, kind, attempt: next((c for c in self.commands[::-1] if c.kind == kind), None)
)
mutant("abort-forgets-rejection", f"{ROLLOUT}.state:State.without_canary")(
    lambda old: lambda self, rejection=None: old(self, None)
)
mutant("rejection-ignored", f"{ROLLOUT}.state:State.rejection_of")(always(None))
mutant("promoted-unasked", f"{ROLLOUT}.state:State.promoted")(
    lambda old: lambda self: self.canary and (old(self) or _command(self))
)
mutant("attempt-numbers-repeat", f"{ROLLOUT}.attempts:next_number")(always(1))
mutant("status-not-recovered", f"{ROLLOUT}.attempts:recovered")(lambda old: lambda observed, state: state)
mutant("commit-not-carried", f"{ROLLOUT}.committed:text")(always(None))
mutant("status-first", EXECUTOR + ".execute")(lambda old: _status_first(old))
mutant("service-deleted-early", DECIDE)(lambda old: lambda *a: _early(old(*a), a[0], "Service"))
mutant("deployment-deleted-early", DECIDE)(lambda old: lambda *a: _early(old(*a), a[0], "Deployment"))
mutant("writes-reversed", DECIDE)(on_writes(lambda writes: writes[::-1]))
mutant("never-looks-again", DECIDE)(
    on_plan(lambda plan: dataclasses.replace(plan, requeue_after_seconds=None))
)
mutant("last-write-lost", DECIDE)(on_writes(lambda writes: writes[:-1]))
mutant("no-versions", EXECUTOR + "._send")(
    lambda old: (
        lambda self, key, write, place: old(
            self, key, dataclasses.replace(write, resource_version=None), place
        )
    )
)
mutant("no-preconditions", "serving_operator.executor:with_preconditions")(
    lambda old: lambda manifest, uid, resource_version: manifest
)
mutant("parent-not-checked", EXECUTOR + "._check_service")(lambda old: _nothing)
mutant("conflict-not-read-again", EXECUTOR + "._read_again")(lambda old: _nothing)
mutant("ownership-not-taken", "serving_operator.executor:drops_created")(always(False))
mutant("creates-by-apply", "serving_io.cluster:Cluster.create")(
    lambda old: (
        lambda self, manifest: self.apply(manifest) if manifest["kind"] != "Event" else old(self, manifest)
    )
)
mutant("replicas-always-stated", f"{ROLLOUT}.replicas:autoscaler_owns")(always(False))
mutant("replicas-never-stated", f"{ROLLOUT}.replicas:stated")(always(None))
mutant("lost-deployment-starts-with-one", f"{ROLLOUT}.replicas:_at_creation")(always(1))
mutant("everything-is-ours", "serving_operator.ensure:classify")(
    lambda old: lambda live, uid, key: type(old(live, uid, key)).OURS
)
mutant("always-differs", "serving_operator.ensure:covers")(always(False))
mutant("never-differs", "serving_operator.ensure:covers")(lambda old: lambda live, wanted: live is not None)
mutant("status-always-written", "serving_operator.executor:covers_status")(always(False))
mutant("updates-not-believed", "serving_operator.cache:version_of")(always(1))
mutant("old-events-believed", "serving_operator.cache:Cache.put")(lambda old: _whatever_comes(old))
mutant("dirty-key-forgotten", "serving_operator.workqueue:WorkQueue.add")(lambda old: _not_while_running(old))
mutant("failed-key-forgotten", "serving_operator.workqueue:WorkQueue._backoff")(always(3600.0))
mutant("no-word-after-a-write", "serving_operator.reconciler:Reconciler._pass")(lambda old: _once(old))
mutant("soak-skipped", f"{ROLLOUT}.promote:_soak")(lambda old: _soakless)
mutant("endpoints-not-awaited", f"{ROLLOUT}.capacity:_ready_gate")(
    lambda old: lambda seen, need, percent: old(dataclasses.replace(seen, endpoints=99), need, percent)
)
mutant("need-is-one", f"{ROLLOUT}.capacity:answer")(
    lambda old: lambda *a: (said := old(*a)) and said.model_copy(update={"replicas": 1})
)
mutant("stale-reserve-believed", f"{ROLLOUT}.capacity:answer")(
    lambda old: lambda revision, reserve_percent=None: _last(revision)
)
mutant("abort-keeps-the-weight", f"{ROLLOUT}.abort:carry_out")(lambda old: _weightless(old))
mutant("abort-does-not-wait", f"{ROLLOUT}.acknowledge:settled")(always(True))
mutant("abort-onto-a-dead-stable", f"{ROLLOUT}.abort:_would_go_dark")(always(False))
mutant("revert-not-heard", f"{ROLLOUT}.abort:cause")(
    lambda old: lambda observed, state: (c := old(observed, state)) and (c if c.rejects else None)
)
mutant("rejects-what-is-reverted", f"{ROLLOUT}.abort:cause")(
    lambda old: lambda observed, state: (c := old(observed, state)) and c.model_copy(update={"rejects": True})
)
mutant("template-rendered-anew", "serving_operator.repair:deployment")(lambda old: _anew(old))
mutant("finalizer-added", "serving_operator.children.services:metadata")(
    lambda old: lambda *a, **k: old(*a, **k) | {"finalizers": ["serving-operator.dev/x"]}
)
mutant("no-owner", "serving_operator.children.services:metadata")(
    lambda old: lambda *a, **k: {k2: v for k2, v in old(*a, **k).items() if k2 != "ownerReferences"}
)
mutant("observed-generation-ahead", "serving_operator.status.report:status")(
    lambda old: lambda report: (s := old(report)) | {"observedGeneration": s["observedGeneration"] + 1}
)
mutant("weights-do-not-add-up", f"{ROLLOUT}.routing:manifest")(
    lambda old: (
        lambda observed, weights, abort: old(observed, {k: max(0, v - 1) for k, v in weights.items()}, abort)
    )
)
mutant("roll-forward-unasked", f"{ROLLOUT}.steps:stable_is_broken")(always(True))
mutant("deadline-never", f"{ROLLOUT}.deadlines:deadline")(
    always(datetime.fromisoformat("2099-01-01T00:00:00+00:00"))
)
mutant("lost-time-counts", f"{ROLLOUT}.deadlines:lost")(always(timedelta()))
mutant("kept-warm-not-kept", f"{ROLLOUT}.previous:kept_warm")(always(None))
mutant("kept-warm-for-ever", f"{ROLLOUT}.cleanup:_deletions")(lambda old: _but_the_former(old))
mutant("rollback-without-capacity", f"{ROLLOUT}.capacity:is_warm")(always(True))
mutant("rollback-forgets-rejection", f"{ROLLOUT}.previous:committed")(
    lambda old: lambda observed, state, attempt: state.committed(attempt)
)
mutant("switched-unasked", f"{ROLLOUT}.selection:wanted")(lambda old: _canary_first(old))
mutant("switch-forgotten", f"{ROLLOUT}.selection:written")(always({}))
mutant("switch-at-once", f"{ROLLOUT}.bluegreen:advance")(lambda old: _promoted_when_ready(old))
mutant("lease-not-checked", "serving_io.lease:Lease.check")(always(None))
mutant("two-leaders", "serving_io.lease:Lease.held")(lambda old: _unheld)
mutant("abort-ignores-what-stable-carries", f"{ROLLOUT}.giving_back:kept_weight")(always(0))
mutant("stable-shrinks-before-its-traffic", f"{ROLLOUT}.surge:kept_percent")(always(50))
mutant("canary-gives-no-way", f"{ROLLOUT}.giving_back:replicas_left")(lambda old: lambda o, s, has: has)
mutant("budget-of-one-more", f"{ROLLOUT}.budget:replicas")(
    lambda old: lambda observed, state: (total := old(observed, state)) and total + 1
)
EXPECTED_TO_SURVIVE: dict[str, str] = {
    "stable-service-switch-not-awaited": "The patience for the longest request is longer than any lag that the world "
    "gives to EndpointSlices.",
    "status-always-written": "A plan states no status that is there already, and to apply one twice changes nothing.",
    "dirty-key-forgotten": "A pass that has sent anything is followed by another one a second later, one that has failed "
    "by a retry, and any other has nothing to wait for between its look at the cache and its end.",
    "parent-not-checked": "The garbage collector of the world removes children of a service that is gone.",
}
"""Mutants that change nothing that anybody could notice, and why."""


def _command(state: State) -> Any:
    from serving_api.status import Command

    assert state.canary is not None
    return Command(kind="Promote", id=state.canary.id, time="2026-01-01T00:00:00Z")


def _canary_first(old: Any) -> Any:
    def wanted(observed: Observed, state: State) -> Any:
        return state.canary.revision if state.canary and state.stable else old(observed, state)

    return wanted


def _promoted_when_ready(old: Any) -> Any:
    def advance(observed: Observed, state: State) -> Move:
        from serving_operator.rollout.deadlines import promotion

        move: Move = old(observed, state)
        return promotion(observed, state, "GoodEnough") if move.waits_for_person else move

    return advance


def _whatever_comes(old: Any) -> Any:
    def put(self: Any, found: Any) -> Any:
        self._gone.pop(place_of(found), None)
        known = self._objects.get(place_of(found))
        if known is not None:
            self._objects[place_of(found)] = {
                **known,
                "metadata": {**known["metadata"], "resourceVersion": "-1"},
            }
        return old(self, found)

    return put


async def _nothing(*_: Any, **__: Any) -> None:
    return None


def _status_first(old: Any) -> Any:
    async def execute(self: Any, key: Any, plan: Plan) -> int:
        changes = 0
        if plan.status is not None:
            changes += await self._write_status(key, plan.status, plan.service_version)
        return changes + int(await old(self, key, dataclasses.replace(plan, status=None)))

    return execute


def _early(plan: Plan, world: Any, kind: str) -> Plan:
    """Delete what belongs to the stable revision as soon as there is a canary with all of the traffic."""
    from serving_operator.repair import delete

    status = world.service.get("status") or {}
    canary, stable = status.get("canary") or {}, status.get("stable") or {}
    if not plan.writes and canary and stable and canary.get("verdict") == "Soaking":
        found = world.objects.get((kind, f"{world.key.name}-{stable['revision']}"))
        if found is not None and not found["metadata"].get("deletionTimestamp"):
            return dataclasses.replace(plan, writes=(delete(found, "too early"),))
    return plan


def _but_the_former(old: Any) -> Any:
    def deletions(observed: Observed, revision: str) -> Any:
        stable = State.of(observed.world.service.get("status") or {}).stable
        former = stable.previous.revision if stable and stable.previous else None
        return () if revision == former else old(observed, revision)

    return deletions


def _not_while_running(old: Any) -> Any:
    def add(self: Any, key: Any) -> None:
        if key not in self._running:
            old(self, key)

    return add


def _once(old: Any) -> Any:
    async def passes(self: Any, key: Any, service: Any) -> None:
        queue, self._queue = self._queue, mock.Mock()
        try:
            await old(self, key, service)
        finally:
            self._queue = queue

    return passes


def _soakless(observed: Observed, state: State) -> Move:
    from serving_api.names import Attempt

    assert state.canary is not None
    attempt = Attempt.parse(state.canary.id)
    assert attempt is not None
    return Move(state.committed(attempt), "Committed", "x")


def _last(revision: Revision) -> Any:
    from serving_operator.rollout.capacity import last_answer

    return last_answer(revision)


def _weightless(old: Any) -> Any:
    def carry_out(observed: Observed, state: State, why: Any) -> Move:
        assert state.canary is not None
        move: Move = old(observed, state, why)
        return dataclasses.replace(move, writes=(), state=state.without_canary()) if move.writes else move

    return carry_out


def _anew(old: Any) -> Any:
    def deployment(service: Any, recorded: Any, number: Any, *, settings: Any) -> Any:
        from serving_operator.children.pod import pod_template
        from serving_operator.runtimes.catalogue import Catalogue
        from serving_operator.runtimes.resolve import resolve

        runtime = resolve(service.spec.predictor, Catalogue())
        revision = recorded["metadata"]["name"].rpartition("-")[2]
        template = pod_template(service, revision, runtime, settings=settings)
        changed = {**recorded, "data": {**recorded["data"], "podTemplate": template}}
        return old(service, changed, number, settings=settings)

    return deployment


@contextlib.asynccontextmanager
async def _unheld(self: Any) -> Any:
    import asyncio

    self._renewed_at = asyncio.get_running_loop().time() + 1e6
    yield asyncio.get_running_loop().create_future()
