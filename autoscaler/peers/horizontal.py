"""The core that HorizontalPodAutoscalers share: proposals, tolerance, stabilisation, limits on the rate.

Sources: kubernetes replica_calculator.go (proposals), horizontal.go (stabilisation and limits). Metrics are
counted in thousandths, and utilization in whole percent, as resource.Quantity and the calculator do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

from autoscaler.forecast import Held
from autoscaler.peers.signals import Replicas

SCALE_UP_FACTOR: Final = 2
SCALE_UP_LEAST: Final = 4
"""Without `behavior` one decision reaches at most max(2 x current, 4)."""
INSTANT_SECONDS: Final = 1e-3
"""With `behavior` a recommendation counts while it is younger than the hold; without, until it is older."""


def utilization_replicas(busy: float, target: float, replicas: Replicas, tolerance: float) -> int | None:
    """Resource metric as a share of requests: ceil(ratio x ready), with unready pods idle on the way up.

    None where no ready pod delivers metrics, which is an error and changes nothing.
    """
    if replicas.ready < 1:
        return None
    usage = _milli(busy) * replicas.ready
    ratio = _percent_ratio(usage, replicas.ready, target)
    if replicas.starting == 0 or ratio <= 1:
        return replicas.wanted if _tolerated(ratio, tolerance) else math.ceil(ratio * replicas.ready)
    filled = _percent_ratio(usage, replicas.created, target)
    proposal = math.ceil(filled * replicas.created)
    if _tolerated(filled, tolerance) or filled < 1 or proposal < replicas.wanted:
        return replicas.wanted
    return proposal


def average_value_replicas(usage: float, target: float, replicas: Replicas, tolerance: float) -> int:
    """External or object metric per replica, type AverageValue: ceil(usage / target), whoever is ready."""
    used, asked = _milli(usage), _milli(target)
    if replicas.created > 0 and _tolerated(used / (asked * replicas.created), tolerance):
        return replicas.created
    return math.ceil(used / asked)


def value_replicas(usage: float, target: float, replicas: Replicas, tolerance: float) -> int:
    """External or object metric, type Value: ceil(ratio x ready), so nothing where nobody is ready."""
    ratio = _milli(usage) / _milli(target)
    if replicas.wanted == 0:
        return math.ceil(ratio)
    return replicas.wanted if _tolerated(ratio, tolerance) else math.ceil(ratio * replicas.ready)


@dataclass(frozen=True)
class RateLimit:
    """An entry of `behavior.scaleUp.policies` or `scaleDown.policies`: so many in each period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_seconds: float

    def bound(self, start: int, direction: Literal[1, -1]) -> int:
        """Replicas that may be reached from those at the period's start."""
        if self.kind == "Pods":
            return start + direction * self.value
        reached = start * (100 + direction * self.value)
        return -(-reached // 100) if direction > 0 else reached // 100


@dataclass(frozen=True)
class Behavior:
    """`spec.behavior` with its defaults; the stabilisation on the way down is the policy's hold.

    Of several limits in one direction the loosest counts (selectPolicy Max).
    """

    up_hold_seconds: float = 0.0
    up: tuple[RateLimit, ...] = (RateLimit("Pods", 4, 15.0), RateLimit("Percent", 100, 15.0))
    down: tuple[RateLimit, ...] = (RateLimit("Percent", 100, 15.0),)


@dataclass(frozen=True)
class HorizontalState:
    """Recommendations and changes of the past that still count."""

    high: Held = field(default_factory=Held)
    """Recommendations of the hold."""
    low: Held = field(default_factory=Held)
    """Those of the hold on the way up, negated."""
    changes: tuple[tuple[float, int], ...] = ()
    """(time, replicas added or removed) within the longest period of a rate limit."""


@dataclass(frozen=True)
class Horizontal:
    """Knobs that all HorizontalPodAutoscalers have."""

    target: float
    """In the unit of the metric."""
    hold_seconds: float = 300.0
    """Stabilisation window on the way down."""
    min_replicas: int = 1
    max_replicas: int = 100
    tolerance: float = 0.1
    behavior: Behavior | None = None
    period_seconds: float = 15.0

    def settle(
        self, proposal: int | None, wanted: int, state: HorizontalState, now: float
    ) -> tuple[int, HorizontalState]:
        """The next replicas for what the metric proposes; None is a metric that could not be read."""
        if wanted == 0 and self.min_replicas > 0:
            return 0, state  # scaled to zero by someone else: autoscaling is off
        if not self.min_replicas <= wanted <= self.max_replicas:
            return min(max(wanted, self.min_replicas), self.max_replicas), state
        if proposal is None:
            return wanted, state
        if self.behavior is None:
            high = _recommended(state.high, wanted, proposal, now, self.hold_seconds)
            most = max(SCALE_UP_FACTOR * wanted, SCALE_UP_LEAST)
            return self._bounded(min(high.highest or 0, most)), HorizontalState(high)
        return self._behave(self.behavior, proposal, wanted, state, now)

    def _behave(
        self, behavior: Behavior, proposal: int, wanted: int, state: HorizontalState, now: float
    ) -> tuple[int, HorizontalState]:
        high = _recommended(state.high, wanted, proposal, now, self.hold_seconds - INSTANT_SECONDS)
        low = _recommended(state.low, -wanted, -proposal, now, behavior.up_hold_seconds - INSTANT_SECONDS)
        highest, lowest = int(high.highest or 0), int(-(low.highest or 0))
        stable = min(max(wanted, lowest), highest)
        longest = max(limit.period_seconds for limit in (*behavior.up, *behavior.down))
        changes = tuple(change for change in state.changes if change[0] > now - longest)
        if stable > wanted:
            reach = max(limit.bound(_start(limit, wanted, changes, now), 1) for limit in behavior.up)
            stable = min(stable, max(reach, wanted))
        elif stable < wanted:
            reach = min(limit.bound(_start(limit, wanted, changes, now), -1) for limit in behavior.down)
            stable = max(stable, min(reach, wanted))
        desired = self._bounded(stable)
        if desired != wanted:
            changes = (*changes, (now, desired - wanted))
        return desired, HorizontalState(high, low, changes)

    def _bounded(self, replicas: float) -> int:
        return int(min(max(replicas, self.min_replicas), self.max_replicas))


def _recommended(held: Held, wanted: int, proposal: int, now: float, hold_seconds: float) -> Held:
    """The hold with this proposal; a controller that just started begins with what it finds."""
    begun = held if held.steps else held.with_value(now, wanted, hold_seconds)
    return begun.with_value(now, proposal, hold_seconds)


def _start(limit: RateLimit, wanted: int, changes: tuple[tuple[float, int], ...], now: float) -> int:
    return wanted - sum(change for at, change in changes if at > now - limit.period_seconds)


def _milli(value: float) -> int:
    return max(round(1000 * value), 0)


def _percent_ratio(usage_milli: int, pods: int, target: float) -> float:
    return (usage_milli * 100 // (1000 * pods)) / round(100 * target)


def _tolerated(ratio: float, tolerance: float) -> bool:
    return 1 - tolerance <= ratio <= 1 + tolerance
