"""What the decisions of a tick are made from: of each target, what was seen, learned and forecast, and what is held."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.budget import Named, full_replicas, room
from autoscaler.case import Case, to_prepare_for
from autoscaler.decide import gpu_replicas
from autoscaler.demand import Coverage, demand_here, horizon_seconds
from autoscaler.forecast import Forecast
from autoscaler.lateness import first_lateness, urgent_replicas
from autoscaler.signals.expected import Freshness
from autoscaler.signals.observe import LATENCY_LAG_SECONDS, Observation
from autoscaler.signals.queries import Windows
from autoscaler.state import TargetState
from autoscaler.targets import Target
from autoscaler.values import changed


@dataclass(frozen=True)
class Scene:
    """What a tick knows of all targets, by uid."""

    by_uid: Mapping[str, Target]
    named: Named
    kept: Mapping[str, TargetState]
    seen: Mapping[str, Observation]
    forecasts: Mapping[str, Forecast]
    windows: Windows
    freshness: Freshness
    now: float


def case_of(target: Target, scene: Scene) -> Case:
    """The case of one target, still without what presses."""
    kept, seen, now = scene.kept, scene.seen, scene.now
    state, observation, spec, workload = kept[target.uid], seen[target.uid], target.spec, target.workload
    assert workload is not None
    members = [uid for uid in target.members if uid in kept]
    stable = scene.by_uid.get(members[0], target)
    hold = state.start.hold_seconds(spec.scale_down_hold_seconds)
    sure = all(seen[uid].complete for uid in members)
    since = [kept[uid].complete_since for uid in members]
    believed = sure and all(moment is not None and now - moment >= hold for moment in since)
    expected_by, expected = to_prepare_for(state.expected_band.value or 0.0, state.seasonal, state.stand_by)
    level = max(state.level.highest or 0.0, scene.forecasts[target.uid].level)
    gpu_target = spec.gpu.target_utilization_percent / 100 if spec.gpu else None
    return Case(
        minimum=spec.min_replicas,
        maximum=spec.max_replicas,
        weight_percent=target.weight_percent,
        reserve_percent=target.reserve_percent,
        threshold_seconds=spec.objective.threshold_milliseconds / 1000,
        late_allowed=(100 - spec.objective.percent) / 100,
        frozen=spec.scale_down == "Frozen",
        gpu_target_ratio=gpu_target,
        wanted=workload.wanted,
        ready=workload.ready,
        stable_replicas=full_replicas(stable) if stable.uid != target.uid else None,
        expected=expected,
        expected_by=expected_by,
        level=level,
        own_rate=state.own_fast
        * scene.windows.fast
        / Coverage.of((kept[uid] for uid in members), scene.windows, now).fast,
        service_seconds=state.service_band.value,
        variability=state.service.variability,
        tail_measured=state.service.tail_measured,
        in_flight=observation.in_flight,
        late_ratio=observation.late_ratio,
        late_first=state.late_first,
        gpu_utilization=observation.gpu_utilization,
        gpu_replicas=state.gpu_replicas_held,
        gpu_unseen=_gpu_unseen(target, scene),
        settled=False,
        urgent=0,
        shrinking_believed=believed,
        blind=any(seen[uid].blind for uid in members),
        seconds_since_lowered=now - state.lowered_at if state.lowered_at is not None else math.inf,
        hold_seconds=hold,
        horizon_seconds=horizon_seconds(state),
        room=room(target, scene.named),
        in_vain_beyond=state.contention.most(demand_here(level, target.weight_percent)),
    )


def _gpu_unseen(target: Target, scene: Scene) -> bool:
    """Whether accelerators are to bound the replicas, and nothing tells how busy they are though pods are old enough."""
    if target.spec.gpu is None or scene.seen[target.uid].gpu_utilization is not None:
        return False
    ready_since = scene.kept[target.uid].ready_since
    return ready_since is not None and scene.now - ready_since >= scene.freshness.grace_seconds


def with_urgency(state: TargetState, case: Case, windows: Windows, now: float) -> tuple[TargetState, Case]:
    """Add what a queue, lateness and the accelerators ask for, each held as demand is."""
    # What is learned asks for its own; without it requests stay late until somebody asks.
    patience = (windows.fast if case.service_seconds is None else windows.base) + LATENCY_LAG_SECONDS
    settled = state.settled_since is not None and now - state.settled_since >= patience
    case = changed(case, settled=settled)
    case = changed(case, late_first=first_lateness(case))
    hold = math.inf if case.blind else case.hold_seconds
    urgent = state.urgent.with_value(now, float(urgent_replicas(case)), hold)
    busy = state.gpu_replicas.with_value(
        now, float(gpu_replicas(case)), math.inf if case.gpu_unseen else hold
    )
    state = changed(state, urgent=urgent, gpu_replicas=busy, late_first=case.late_first)
    return state, changed(case, urgent=int(urgent.highest or 0), gpu_replicas=state.gpu_replicas_held)
