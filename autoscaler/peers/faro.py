"""Like Faro: replicas by an M/D/c latency percentile at a quantile of recent rates, and one more when late.

Sources: faro solver.py (latency, utility, start-up), pred_autoscale_config.yaml and autoscale_config.yaml
(intervals). A quantile of the rates of the last window stands in for the learned probabilistic forecast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from autoscaler.forecast import Held
from autoscaler.peers.signals import Replicas, Signals

UTILITY_PRECISION: Final = 1e-4
"""A replica that adds less utility is not worth having."""


def latency_seconds(
    replicas: int, rate: float, service_seconds: float, quantile: float, largest_utilization: float
) -> float:
    """Quantile of the response time: half the M/M/c waiting time, and the work.

    Above the largest utilization the latency there grows in proportion to the excess rate.
    """
    if rate <= 0:
        return service_seconds
    most = largest_utilization * replicas / service_seconds
    carried = min(rate, most)
    load = carried * service_seconds
    blocking = 1.0
    for servers in range(1, replicas + 1):
        blocking = load * blocking / (servers + load * blocking)
    waits = replicas * blocking / (replicas - load * (1 - blocking))
    mean_wait = service_seconds / (replicas - load)
    wait = max(0.0, mean_wait * math.log(max(waits, 1e-300) / (1 - quantile)))
    return (wait / 2 + service_seconds) * rate / carried


@dataclass(frozen=True)
class FaroState:
    """Rates of the last window, the plan in force, and since when requests are late."""

    rates: tuple[tuple[float, float], ...] = ()
    """(time, requests per second), oldest first."""
    planned_at: float | None = None
    late_since: float | None = None
    held: Held = field(default_factory=Held)


@dataclass(frozen=True)
class Faro:
    """A plan every few minutes, and an additive increase in between."""

    slo_seconds: float
    """Response time that the quantile shall keep."""
    service_seconds: float
    """True mean work of a request."""
    hold_seconds: float = 600.0
    """Faro's downscale_delay_s."""
    min_replicas: int = 1
    max_replicas: int = 100
    quantile: float = 0.99
    """Of the response times."""
    rate_quantile: float = 0.9
    """Of the recent rates."""
    largest_utilization: float = 0.95
    window_seconds: float = 420.0
    step_seconds: float = 60.0
    """Rates are those of so many seconds; the horizon has as many steps as the window."""
    start_seconds: float = 65.0
    """Replicas added serve only after so long."""
    plan_seconds: float = 300.0
    late_seconds: float = 30.0
    """Late for so long: one replica more."""
    period_seconds: float = 10.0

    def initial(self) -> FaroState:
        """No rates, no plan."""
        return FaroState()

    def decide(
        self, signals: Signals, replicas: Replicas, state: FaroState, now: float
    ) -> tuple[int, FaroState]:
        """Replicas wanted from now on."""
        rate = signals.arrivals_per_second(self.step_seconds)
        kept = tuple(point for point in state.rates if now - self.window_seconds < point[0] < now)
        rates = (*kept, (now, rate))
        planned_at, late_since, held = state.planned_at, state.late_since, state.held
        measured = signals.latency_seconds(self.quantile, self.late_seconds)
        if measured is None or measured <= self.slo_seconds:
            late_since = None
        elif late_since is None:
            late_since = now
        wanted = self._bounded(replicas.wanted)
        if planned_at is None or now - planned_at >= self.plan_seconds:
            planned = self.plan(_quantile([value for _, value in rates], self.rate_quantile), replicas.ready)
            held = held.with_value(now, planned, self.hold_seconds)
            wanted, planned_at = int(held.highest or planned), now
        elif late_since is not None and now - late_since >= self.late_seconds:
            wanted, late_since = self._bounded(wanted + 1), now
            held = held.with_value(now, wanted, self.hold_seconds)
        return wanted, FaroState(rates, planned_at, late_since, held)

    def plan(self, rate: float, ready: int) -> int:
        """Fewest replicas of the highest utility."""
        lowest, highest = max(self.min_replicas, 1), self.max_replicas
        best = self.utility(highest, rate, ready)
        return next(
            (n for n in range(lowest, highest) if self.utility(n, rate, ready) >= best - UTILITY_PRECISION),
            highest,
        )

    def utility(self, replicas: int, rate: float, ready: int) -> float:
        """Mean of min(1, SLO / latency) over the horizon, whose first steps have the ready replicas only."""
        steps = math.ceil(self.window_seconds / self.step_seconds)
        starting = math.ceil(self.start_seconds / self.step_seconds)
        waits = starting if replicas > ready >= 1 and starting < steps else 0
        before, after = self._kept(max(ready, 1), rate), self._kept(replicas, rate)
        return (waits * before + (steps - waits) * after) / steps

    def _kept(self, replicas: int, rate: float) -> float:
        latency = latency_seconds(
            replicas, rate, self.service_seconds, self.quantile, self.largest_utilization
        )
        return min(1.0, self.slo_seconds / latency)

    def _bounded(self, replicas: int) -> int:
        return min(max(replicas, self.min_replicas), self.max_replicas)


def _quantile(values: list[float], quantile: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(quantile * len(ordered)) - 1, 0)]
