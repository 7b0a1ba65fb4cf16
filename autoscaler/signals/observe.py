"""Both accounts of a target, the pods' and the gateway's, joined to what is known about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from autoscaler.signals.expected import Expectation
from autoscaler.signals.numbers import TargetKey
from autoscaler.signals.profiles import ENVOY, Profile
from autoscaler.signals.routed import at_gateway
from autoscaler.signals.views import Gate, Signals, View

LATENCY_LAG_SECONDS: Final = 10
"""Arrivals of so many seconds may have no entry in a histogram yet: Envoy merges its own every 5 seconds,
and requests take their time."""
BESIDE_SHARE: Final = 0.2
"""Of what the gateway passed on: so much more must pods complete before some callers are taken to pass it by."""
BESIDE_DEVIATIONS: Final = 3.0
"""And so many standard deviations of the count: the windows of two sources are not the same to the second."""
LATE_RATIO_OF_QUEUES: Final = 0.1
"""Above it queues blur what pods complete: only the gateway's count tells arrivals."""
FEWEST_FOR_LATE: Final = 50
"""Requests in the window from which a late fraction is taken seriously."""


@dataclass(frozen=True)
class Missing:
    """By what rates over the fast and the slow window are to be multiplied, as samples are missing in them."""

    at_gateway: tuple[float, float] = (1.0, 1.0)
    at_pods: tuple[float, float] = (1.0, 1.0)


NOTHING_MISSING: Final = Missing()


@dataclass(frozen=True)
class Observation:
    """Both accounts of one target, joined."""

    pods: View
    gateway: View
    partly_scraped: bool = False
    gpu_utilization: float | None = None
    late_ratio: float | None = None
    """Fraction of the arrivals that got no response within the threshold; None if it cannot be measured."""
    late_requests: float = 0.0
    """Arrivals that the fraction was counted on."""
    counted_at: View | None = None
    """The account that the gateway's is taken from: the same, or that of its whole route."""
    base_seconds: float = 60.0
    missing: Missing = NOTHING_MISSING

    @property
    def views(self) -> tuple[View, View]:
        return self.gateway, self.pods

    @property
    def usable(self) -> bool:
        """Whether the demand is known from at least one account."""
        return any(view.gate.usable for view in self.views)

    @cached_property
    def blind(self) -> bool:
        """Whether something that is expected is missing, old or beyond belief."""
        return any(view.gate in (Gate.MISSING, Gate.STALE, Gate.IMPLAUSIBLE) for view in self.views)

    @cached_property
    def complete(self) -> bool:
        """Whether nothing that is expected is missing: only then can demand be believed to have shrunk."""
        return (
            not self.blind
            and all(view.reason != "NotYetScraped" for view in self.views)
            and not self.partly_scraped
        )

    @cached_property
    def arrivals_now(self) -> float:
        """Requests per second in the fast window."""
        (gateway, _), (pods, _) = self.missing.at_gateway, self.missing.at_pods
        return self._arrivals(gateway * self.gateway.arrivals_now, pods * self.pods.arrivals_now)

    @cached_property
    def arrivals_base(self) -> float:
        """Requests per second in the slow window."""
        (_, gateway), (_, pods) = self.missing.at_gateway, self.missing.at_pods
        return self._arrivals(gateway * self.gateway.arrivals_base, pods * self.pods.arrivals_base)

    def _arrivals(self, at_gateway: float, at_pods: float) -> float:
        """The gateway's account, and what reaches the pods past it."""
        if not self.gateway.gate.usable:
            return at_pods if self.pods.gate.usable else 0.0
        if self.pods.gate.usable and self.gateway.responses is None:
            return max(at_gateway, at_pods)
        return at_gateway + self.beside

    @cached_property
    def beside(self) -> float:
        """Requests per second that reach the pods past the gateway.

        Not all that pods complete more: while a queue drains that is more than arrives, and of requests that the
        gateway has given up they still complete what waited in their sockets.
        """
        # Of a route the whole: traffic may not have followed the weights yet, which is no reason to count it twice.
        gateway, pods = self.counted_at or self.gateway, self.pods
        if not (gateway.gate.usable and pods.gate.usable) or gateway.responses is None:
            return 0.0
        if self.late_ratio is not None and self.late_ratio > LATE_RATIO_OF_QUEUES:
            return 0.0
        passed = max(gateway.responses + gateway.unanswered, gateway.arrivals_base)
        (_, at_gateway), (_, at_pods) = self.missing.at_gateway, self.missing.at_pods
        seconds = self.base_seconds / max(at_gateway, at_pods)
        return beside_gateway(at_pods * pods.arrivals_base, at_gateway * passed, seconds)

    @property
    def in_flight(self) -> float | None:
        """Requests being worked on or waiting, as the source tells it that sees more of them."""
        return max((view.in_flight for view in self.views if view.in_flight is not None), default=None)

    @property
    def failed_ratio(self) -> float:
        """Fraction of the requests that fail, by the pods' account if there is one."""
        view = self.pods if self.pods.gate is Gate.OK else self.gateway
        return min(view.failures_now / view.arrivals_now, 1.0) if view.arrivals_now > 0 else 0.0

    @property
    def sampled_at(self) -> float | None:
        """Time of the newest sample of either account."""
        return max((view.sampled_at for view in self.views if view.sampled_at is not None), default=None)


def observe(
    signals: Signals,
    key: TargetKey,
    profile: Profile,
    expected: Expectation,
    threshold_seconds: float,
    base_seconds: float,
) -> Observation:
    """What is known about one target."""
    gateway, counted_at = at_gateway(signals, key, expected)
    pods = gateway if profile.source == "gateway" else signals.view(key, profile, expected)
    if profile.source == "gateway":
        known_by_now = expected.ready_for_seconds >= signals.freshness.grace_seconds
        if gateway.reason == "NoGateway" and expected.weight_percent > 0 and known_by_now:
            gateway = View(
                Gate.MISSING,
                "NoSeries",
                f"no gateway reports a backend {key[1]} or a route {expected.route}: the profile gateway needs the "
                "statistics of Envoy's clusters in Prometheus",
            )
        pods = View(Gate.ABSENT, "NoProfile", "the pods are not asked")
    scraped = signals.scraped_pods(key)
    partly = pods.gate.usable and scraped is not None and scraped < expected.ready_replicas
    sources = [(ENVOY, gateway), (profile, pods)]
    if gateway.part not in (None, 1.0):
        # Of several revisions that are counted together, only pods tell which one is late.
        sources.reverse()
    late, counted = _late(sources, threshold_seconds, base_seconds)
    gpu = signals.gpu_utilization(key)
    return Observation(pods, gateway, partly, gpu, late, counted, counted_at, base_seconds)


def exact_bound(bounds: Iterable[float], threshold_seconds: float) -> float | None:
    """The bound that is the threshold, if there is one."""
    return next((b for b in bounds if math.isclose(b, threshold_seconds, rel_tol=1e-6)), None)


def bounds_around(bounds: Iterable[float], threshold_seconds: float) -> tuple[float | None, float | None]:
    """The nearest bounds at or below and at or above the threshold."""
    known = sorted(b for b in bounds if math.isfinite(b))
    below = [b for b in known if b <= threshold_seconds * (1 + 1e-6)]
    above = [b for b in known if b >= threshold_seconds * (1 - 1e-6)]
    return (below[-1] if below else None), (above[0] if above else None)


def beside_gateway(completed: float, passed: float, seconds: float) -> float:
    """What pods complete beyond what a gateway passed on, both per second over `seconds`; 0 if that may be chance."""
    beside = completed - passed
    chance = BESIDE_DEVIATIONS * math.sqrt(max(passed, beside, 0.0) / seconds)
    return beside if beside > max(BESIDE_SHARE * passed, chance) else 0.0


def _late(
    sources: Iterable[tuple[Profile, View]], threshold_seconds: float, base_seconds: float
) -> tuple[float | None, float]:
    """Late = arrivals - responses within the threshold; never interpolated, never from work alone.

    What left no response is counted where the source counts it, and otherwise by what is missing beyond
    the arrivals that need have no response yet: those that are younger than the threshold.
    """
    for profile, view in sources:
        bound = exact_bound(view.within, threshold_seconds)
        if profile.durations == "service" or bound is None or not view.gate.usable:
            continue
        arrivals, responses = view.arrivals_base, view.responses or 0.0
        counted = arrivals * base_seconds
        if counted < FEWEST_FOR_LATE:
            return None, counted
        young = max(LATENCY_LAG_SECONDS, threshold_seconds)
        pending = (max(arrivals, view.arrivals_now) * young + 3) / base_seconds
        missing = max(view.unanswered, arrivals - responses - pending)
        late = max(responses - view.within[bound], 0.0) + missing
        return min(late / max(responses + missing, arrivals * 0.5), 1.0), counted
    return None, 0.0
