"""Seasons and surprises of before the restart: the same learning, step by step over recorded rates, a chunk a tick.

Rates are those of whole minutes, so a peak that is shorter counts for less than it did when it was seen. The work per
request, the time to start and the objective are taken to have been then as they are now.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from autoscaler.demand import project
from autoscaler.forecast import RateHistory
from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.observe import Observation, beside_gateway
from autoscaler.signals.profiles import ENVOY, in_use
from autoscaler.signals.queries import Windows, arrivals_question, of_route
from autoscaler.signals.views import Gate, View
from autoscaler.state import LoopState, TargetState
from autoscaler.targets import Target
from autoscaler.values import changed

HISTORY_SECONDS: Final = 2 * 86400.0
"""Two rounds of a day: what came in both is foretold. Evidence halves in one."""
STEP_SECONDS: Final = 60.0
CHUNK_STEPS: Final = 240
"""Of a query, at most: four hours."""
CHUNK_POINTS: Final = 10_000
"""Of all targets together in a chunk, so that a tick with one takes about half a second more."""
IN_WINDOW: Final = 3
"""Steps of the slow window."""
OF_REVISION: Final = re.compile("(.+)-[0-9a-f]{8}")
"""The Deployment of a revision is named for its service."""

SEEN: Final = Observation(View(Gate.OK), View(Gate.OK))


class SeriesLike(Protocol):
    """One series of a range query."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def points(self) -> tuple[tuple[float, float], ...]: ...


@dataclass(frozen=True)
class Chunk:
    """A range query; times in whole seconds since 1970."""

    promql: str
    begin: float
    end: float
    step_seconds: float


@dataclass(frozen=True)
class Past:
    """One target's memory as it grows."""

    state: TargetState
    gateway: tuple[float, ...] = ()
    """Rates of the last steps."""
    pods: tuple[float, ...] = ()
    steps: int = 0
    """With data."""


@dataclass(frozen=True)
class Rebuilding:
    """How far it has come."""

    step_seconds: float
    done: float
    """The last moment that is learned from."""
    pasts: Mapping[str, Past]
    """By uid."""
    most_steps: int = CHUNK_STEPS
    """Of a chunk; fewer after one whose answer was too large."""


def begun(state: LoopState, now: float) -> Rebuilding | None:
    """Begin with the targets whose work per request the status remembers; None without any."""
    known = {uid: target for uid, target in state.targets.items() if target.service_band.value is not None}
    if not known:
        return None
    step = max(STEP_SECONDS, float(state.windows.fast))
    pasts = {
        uid: Past(
            TargetState(
                first_seen=now - HISTORY_SECONDS,
                service=target.service,
                start=target.start,
                service_band=target.service_band,
                served_since=-math.inf,
            )
        )
        for uid, target in known.items()
    }
    return Rebuilding(step, step * math.floor((now - HISTORY_SECONDS) / step), pasts)


def next_chunk(rebuilding: Rebuilding, targets: Iterable[Target], now: float, matcher: str) -> Chunk | None:
    """What to ask next; None once the present is reached."""
    step = rebuilding.step_seconds
    left = math.floor((now - rebuilding.done) / step)
    if left < 1:
        return None
    count = max(CHUNK_POINTS // len(rebuilding.pasts), 1)
    steps = min(left, count, rebuilding.most_steps)
    profiles = in_use(target.profile for target in targets)
    return Chunk(
        arrivals_question(profiles, int(step), matcher),
        rebuilding.done + step,
        rebuilding.done + steps * step,
        step,
    )


def learned(
    rebuilding: Rebuilding, targets: Iterable[Target], chunk: Chunk, series: Sequence[SeriesLike]
) -> Rebuilding:
    """Learn from the answer to a chunk."""
    rates = _Answered.of(series, chunk)
    pasts = dict(rebuilding.pasts)
    for target in targets:
        if (past := pasts.get(target.uid)) is not None:
            pasts[target.uid] = _lived(past, target, rates.of_target(target), chunk)
    return replace(rebuilding, done=chunk.end, pasts=pasts)


def remembered(state: LoopState, rebuilding: Rebuilding) -> LoopState:
    """Put what was learned in the place of what the time since the restart has taught, which it covers too."""
    targets = dict(state.targets)
    for uid, past in rebuilding.pasts.items():
        if uid not in targets or not past.steps:
            continue
        now, then = targets[uid], past.state
        since = now.asked.points[0][0] if now.asked.points else math.inf
        before = tuple(point for point in then.asked.points if point[0] < since)
        targets[uid] = replace(
            now,
            asked=RateHistory((*before, *now.asked.points)),
            came=then.came,
            surprises=then.surprises,
            seasons=then.seasons,
            seasonal=then.seasonal,
            stand_by=then.stand_by,
        )
    return replace(state, targets=targets)


@dataclass
class _Rates:
    """Requests per second of one Deployment by step."""

    gateway: dict[int, float] = field(default_factory=dict)
    pods: dict[int, float] = field(default_factory=dict)


@dataclass
class _Answered:
    """The rates of a chunk, found by Deployment, and by the service whose revision its name says it is."""

    of_deployment: dict[TargetKey, dict[str, dict[int, float]]] = field(default_factory=dict)
    """By profile and step."""
    of_service: dict[TargetKey, list[str]] = field(default_factory=dict)
    """Names of Deployments."""

    @classmethod
    def of(cls, series: Iterable[SeriesLike], chunk: Chunk) -> _Answered:
        found = cls()
        for one in series:
            namespace, deployment = one.labels.get("namespace", ""), one.labels.get("deployment", "")
            if (namespace, deployment) not in found.of_deployment:
                found.of_deployment[namespace, deployment] = {}
                if match := OF_REVISION.fullmatch(deployment):
                    found.of_service.setdefault((namespace, match[1]), []).append(deployment)
            steps = found.of_deployment[namespace, deployment].setdefault(one.labels.get("profile", ""), {})
            for at, value in one.points:
                steps[round((at - chunk.begin) / chunk.step_seconds)] = max(value, 0.0)
        return found

    def of_target(self, target: Target) -> _Rates:
        """Its Deployment's, and with a service those of all revisions that it has or had; else its route's."""
        namespace, name = target.key
        names = dict.fromkeys((name, *self.of_service.get((namespace, target.service), ())))
        found = _Rates()
        for deployment in names:
            for profile, steps in self.of_deployment.get((namespace, deployment), {}).items():
                into = found.gateway if profile == ENVOY.id else found.pods
                if profile in (ENVOY.id, target.profile.id):
                    for step, value in steps.items():
                        into[step] = into.get(step, 0.0) + value
        # Of a service the route has all revisions' requests, as they have together.
        part = 1.0 if target.service else target.weight_percent / 100
        route = self.of_deployment.get((namespace, of_route(target.route)), {})
        for step, value in route.get(ENVOY.id, {}).items():
            found.gateway.setdefault(step, part * value)
        return found


def _lived(past: Past, target: Target, rates: _Rates, chunk: Chunk) -> Past:
    step, alone = chunk.step_seconds, replace(target, members=(target.uid,))
    windows = Windows(int(step), int(IN_WINDOW * step))
    for number in range(round((chunk.end - chunk.begin) / step) + 1):
        at_gateway, at_pods = rates.gateway.get(number), rates.pods.get(number)
        if at_gateway is None and at_pods is None:
            continue
        past = changed(
            past,
            gateway=(*past.gateway, at_gateway)[-IN_WINDOW:] if at_gateway is not None else (),
            pods=(*past.pods, at_pods)[-IN_WINDOW:] if at_pods is not None else (),
            steps=past.steps + 1,
        )
        fast, base = _arrivals(past, step)
        now = chunk.begin + number * step
        state = changed(past.state, own_fast=fast, own_base=base)
        state, _ = project(alone, {target.uid: state}, {target.uid: SEEN}, windows, step, now)
        past = changed(past, state=state)
    return past


def _arrivals(past: Past, step: float) -> tuple[float, float]:
    """Requests per second in both windows: the gateway's, and what reached the pods past it, as an observation has them."""
    if not past.gateway or not past.pods:
        rates = past.gateway or past.pods
        return rates[-1], _mean(rates)
    passed = _mean(past.gateway)
    beside = beside_gateway(_mean(past.pods), passed, step * min(len(past.gateway), len(past.pods)))
    return past.gateway[-1] + beside, passed + beside


def _mean(rates: Sequence[float]) -> float:
    return sum(rates) / len(rates)
