"""Answers of Prometheus → what is known about each target, with a validity gate before every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from autoscaler.signals.profiles import ENVOY, Profile

TargetKey = tuple[str, str]
"""Namespace and name of a Deployment."""

CREDIBLE_RATE_PER_SECOND: Final = 1e6
"""No single service of ours gets more; a larger number is a fault of the data."""
LATENCY_LAG_SECONDS: Final = 10
"""Arrivals of so many seconds may have no entry in a histogram yet: Envoy merges its own every 5 seconds,
and requests take their time."""
DIRECT_RATIO: Final = 1.2
"""Pods must complete so many times what the gateway passed on before some callers are taken to pass it by."""
LATE_RATIO_OF_QUEUES: Final = 0.1
"""Above it queues blur what pods complete: only the gateway's count tells arrivals."""
FEWEST_FOR_LATE: Final = 50
"""Requests in the window from which a late fraction is taken seriously."""


class SampleLike(Protocol):
    """One number of an instant query."""

    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def value(self) -> float: ...


class AnswerLike(Protocol):
    """An answer: finite samples, and how many values were not finite."""

    @property
    def samples(self) -> Sequence[SampleLike]: ...
    @property
    def not_finite(self) -> int: ...


@dataclass(frozen=True)
class Failure:
    """A question without a usable answer."""

    reason: str
    message: str


Answers = Mapping[str, AnswerLike | Failure]


class Gate(Enum):
    """What a view is worth."""

    OK = "OK"
    ZERO = "ZERO"
    STALE = "STALE"
    MISSING = "MISSING"
    IMPLAUSIBLE = "IMPLAUSIBLE"
    ABSENT = "ABSENT"
    """Nothing is expected here: no ready pod, or no gateway in front."""

    @property
    def usable(self) -> bool:
        """Whether its numbers may feed a decision."""
        return self in (Gate.OK, Gate.ZERO)


@dataclass(frozen=True)
class View:
    """One source's account of one target: rates per second, means in seconds; None is unknown."""

    gate: Gate
    reason: str = ""
    message: str = ""
    arrivals_now: float = 0.0
    arrivals_base: float = 0.0
    unanswered: float = 0.0
    """Arrivals of the slow window that were seen to end without a response in the histogram."""
    responses: float | None = None
    """Responses in the slow window, as the histogram counts them."""
    failures_now: float = 0.0
    completions: float = 0.0
    work_seconds: float | None = None
    in_flight: float | None = None
    within: Mapping[float, float] = field(default_factory=dict)
    """Rate of the responses within so many seconds, at the bounds of the histogram."""
    sampled_at: float | None = None


@dataclass(frozen=True)
class Expectation:
    """What should be there, so that its absence is noticed."""

    ready_replicas: int
    ready_for_seconds: float
    gateway: bool
    """Whether the gateway had a view of it lately."""
    weighted: bool = True
    """Whether any traffic is meant for it: a backend without weight need not be known to a gateway."""


@dataclass(frozen=True)
class Freshness:
    """When data is too old, from the measured scrape interval."""

    scrape_seconds: float

    @property
    def stale_seconds(self) -> float:
        """Two and a half scrapes, and never so few that a slow scrape is taken for an outage."""
        return max(15.0, 2.5 * self.scrape_seconds + 2)

    @property
    def grace_seconds(self) -> float:
        """For which a new pod need not be known to Prometheus yet."""
        return max(15.0, 3 * self.scrape_seconds)


class Signals:
    """All answers of one tick, found by target."""

    def __init__(self, answers: Answers, now: float, freshness: Freshness) -> None:
        self.now = now
        self.freshness = freshness
        self.failures = {name: answer for name, answer in answers.items() if isinstance(answer, Failure)}
        self._not_finite = 0
        self._values: dict[TargetKey, dict[tuple[str, str, str], float]] = {}
        self._within: dict[tuple[TargetKey, str], dict[float, float]] = {}
        self._bounds: dict[str, set[float]] = {}
        for question, answer in answers.items():
            if isinstance(answer, Failure):
                continue
            self._not_finite += answer.not_finite
            for sample in answer.samples:
                self._put(question, sample.labels, sample.value)

    def _put(self, question: str, labels: Mapping[str, str], value: float) -> None:
        key = (labels.get("namespace", ""), labels.get("deployment", ""))
        profile, signal, bound = labels.get("profile", ""), labels.get("signal", ""), labels.get("le")
        if not math.isfinite(value):
            self._not_finite += 1
        elif bound is not None:
            self._within.setdefault((key, profile), {})[float(bound)] = value
            self._bounds.setdefault(profile, set()).add(float(bound))
        else:
            self._values.setdefault(key, {})[question, profile, signal] = value

    def value(self, key: TargetKey, question: str, profile: str, signal: str) -> float | None:
        """One number, if it was answered."""
        return self._values.get(key, {}).get((question, profile, signal))

    def samples_per_minute(self, key: TargetKey) -> float | None:
        """How often the target's pods were scraped in the last minute."""
        return self.value(key, "gauges", "up", "samples_per_minute")

    def gpu_utilization(self, key: TargetKey) -> float | None:
        """Busy share of the target's accelerators, 0 to 1."""
        value = self.value(key, "gpu", "gpu", "utilization")
        return value if value is not None and 0 <= value <= 1.5 else None

    def view(self, key: TargetKey, profile: Profile, expected: Expectation) -> View:
        """The account of one source, gated."""
        for question in ("now", "base", "gauges"):
            if failure := self.failures.get(question):
                return View(Gate.MISSING, _failure_reason(failure), f"Prometheus: {failure.message}")
        sampled_at = self._sampled_at(key, profile)
        if sampled_at is None:
            return self._without_series(key, profile, expected)
        age = self.now - sampled_at
        if age > self.freshness.stale_seconds:
            return View(
                Gate.STALE,
                "Stale",
                f"the newest sample of the {profile.source} is older than "
                f"{self.freshness.stale_seconds:.0f} s: see whether Prometheus still scrapes them",
                sampled_at=sampled_at,
            )
        return self._reading(key, profile, expected, sampled_at)

    def _sampled_at(self, key: TargetKey, profile: Profile) -> float | None:
        times = [self.value(key, "gauges", profile.id, "sampled_at")]
        if profile.lazy:
            times.append(self.value(key, "gauges", "up", "sampled_at"))
        return max((time for time in times if time is not None), default=None)

    def _without_series(self, key: TargetKey, profile: Profile, expected: Expectation) -> View:
        if profile.source == "gateway":
            if not expected.gateway:
                return View(Gate.ABSENT, "NoGateway", "no gateway reports this backend")
            missing = f"{profile.counters[profile.presence].name} for backend {key[1]}"
        else:
            if expected.ready_replicas < 1:
                return View(Gate.ABSENT, "NoReadyPods", "no pod is ready yet")
            if expected.ready_for_seconds < self.freshness.grace_seconds:
                return View(Gate.ABSENT, "NotYetScraped", "the pods are new to Prometheus")
            missing = f"{profile.counters[profile.presence].name} for pods of {key[1]}"
        if self._not_finite:
            return View(Gate.MISSING, "NotFinite", f"Prometheus answers NaN or infinity instead of {missing}")
        return View(Gate.MISSING, "NoSeries", f"Prometheus has no {missing}: check the scrape configuration")

    def _reading(self, key: TargetKey, profile: Profile, expected: Expectation, sampled_at: float) -> View:
        def rate(question: str, signs: Mapping[str, int]) -> float | None:
            values = {signal: self.value(key, question, profile.id, signal) for signal in signs}
            if all(value is None for value in values.values()):
                return None
            return sum(signs[signal] * (value or 0.0) for signal, value in values.items())

        now, base = rate("now", profile.arrivals), rate("base", profile.arrivals)
        # A view that is sampled and yet has no rate: a series with one sample so far, or values that were
        # not finite. Only where the counter itself is absent is no series no request.
        has_counter = self.value(key, "gauges", profile.id, "sampled_at") is not None
        if now is None and self._not_finite and (has_counter or expected.ready_replicas > 0):
            return View(
                Gate.MISSING, "NotFinite", "Prometheus answers NaN or infinity", sampled_at=sampled_at
            )
        if now is None and has_counter:
            message = "fewer than two samples in the window of the rates"
            return View(Gate.ABSENT, "NotYetScraped", message, sampled_at=sampled_at)
        failures = rate("now", profile.failures) or 0.0
        total = self.value(key, "now", profile.id, "work_sum")
        count = self.value(key, "now", profile.id, "work_count")
        in_flight = self.value(key, "gauges", profile.id, "in_flight")
        numbers = [n for n in (now, base, failures, total, count, in_flight) if n is not None]
        if any(number < -1e-6 or number > CREDIBLE_RATE_PER_SECOND for number in numbers):
            return View(
                Gate.IMPLAUSIBLE,
                "Implausible",
                f"a rate or gauge of the {profile.source} is negative or beyond belief: check the metric",
                sampled_at=sampled_at,
            )
        now, base = now or 0.0, base or 0.0
        quiet = now <= 0 and base <= 0 and failures <= 0 and (in_flight or 0) <= 0
        return View(
            Gate.ZERO if quiet else Gate.OK,
            arrivals_now=now,
            arrivals_base=base,
            unanswered=rate("late", profile.unanswered) or 0.0,
            responses=self.value(key, "late", profile.id, "responses"),
            failures_now=failures,
            completions=count or 0.0,
            work_seconds=total / count * profile.work.seconds if total and count else None,
            in_flight=in_flight,
            within=self._responses(key, profile),
            sampled_at=sampled_at,
        )

    def _responses(self, key: TargetKey, profile: Profile) -> dict[float, float]:
        """By bound in seconds; none yet of a target, where others have some, are none within any bound."""
        own = self._within.get((key, profile.id), {})
        bounds = self._bounds.get(profile.id, set())
        return {bound * profile.buckets.seconds: own.get(bound, 0.0) for bound in bounds}

    def scraped_pods(self, key: TargetKey) -> int | None:
        """Pods of the target that Prometheus scrapes with success."""
        value = self.value(key, "gauges", "up", "scraped")
        return None if value is None else int(value)


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

    @property
    def views(self) -> tuple[View, View]:
        return self.gateway, self.pods

    @property
    def usable(self) -> bool:
        """Whether the demand is known from at least one account."""
        return any(view.gate.usable for view in self.views)

    @property
    def blind(self) -> bool:
        """Whether something that is expected is missing, old or beyond belief."""
        return any(view.gate in (Gate.MISSING, Gate.STALE, Gate.IMPLAUSIBLE) for view in self.views)

    @property
    def complete(self) -> bool:
        """Whether nothing that is expected is missing: only then can demand be believed to have shrunk."""
        return (
            not self.blind
            and all(view.reason != "NotYetScraped" for view in self.views)
            and not self.partly_scraped
        )

    @property
    def arrivals_now(self) -> float:
        """Requests per second in the fast window."""
        return self._arrivals(self.gateway.arrivals_now, self.pods.arrivals_now)

    @property
    def arrivals_base(self) -> float:
        """Requests per second in the slow window."""
        return self._arrivals(self.gateway.arrivals_base, self.pods.arrivals_base)

    def _arrivals(self, at_gateway: float, at_pods: float) -> float:
        """The gateway's account, and what reaches the pods past it.

        Not simply the larger of both: while a queue drains, pods complete more than arrives, and of requests
        that the gateway has given up they still complete what waited in their sockets.
        """
        if not self.gateway.gate.usable:
            return at_pods if self.pods.gate.usable else 0.0
        if not self.pods.gate.usable:
            return at_gateway
        gateway = self.gateway
        if gateway.responses is None:
            return max(at_gateway, at_pods)
        if self.late_ratio is not None and self.late_ratio > LATE_RATIO_OF_QUEUES:
            return at_gateway
        passed = max(gateway.responses + gateway.unanswered, gateway.arrivals_base)
        direct = self.pods.arrivals_base - passed
        return at_gateway + (direct if direct > (DIRECT_RATIO - 1) * max(passed, 1.0) else 0.0)

    @property
    def in_flight(self) -> float | None:
        """Requests being worked on or waiting, as the source that sees waiting tells it."""
        return next((view.in_flight for view in self.views if view.in_flight is not None), None)

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
    gateway = signals.view(key, ENVOY, expected)
    pods = gateway if profile.source == "gateway" else signals.view(key, profile, expected)
    if profile.source == "gateway":
        known_by_now = expected.ready_for_seconds >= signals.freshness.grace_seconds
        if gateway.reason == "NoGateway" and expected.weighted and known_by_now:
            gateway = View(
                Gate.MISSING,
                "NoSeries",
                f"no gateway reports a backend {key[1]}: the profile gateway needs Envoy's statistics "
                "per backend in Prometheus",
            )
        pods = View(Gate.ABSENT, "NoProfile", "the pods are not asked")
    scraped = signals.scraped_pods(key)
    partly = pods.gate.usable and scraped is not None and scraped < expected.ready_replicas
    late, counted = _late(((ENVOY, gateway), (profile, pods)), threshold_seconds, base_seconds)
    return Observation(pods, gateway, partly, signals.gpu_utilization(key), late, counted)


def exact_bound(bounds: Iterable[float], threshold_seconds: float) -> float | None:
    """The bound that is the threshold, if there is one."""
    return next((b for b in bounds if math.isclose(b, threshold_seconds, rel_tol=1e-6)), None)


def bounds_around(bounds: Iterable[float], threshold_seconds: float) -> tuple[float | None, float | None]:
    """The nearest bounds at or below and at or above the threshold."""
    known = sorted(b for b in bounds if math.isfinite(b))
    below = [b for b in known if b <= threshold_seconds * (1 + 1e-6)]
    above = [b for b in known if b >= threshold_seconds * (1 - 1e-6)]
    return (below[-1] if below else None), (above[0] if above else None)


def _late(
    sources: Iterable[tuple[Profile, View]], threshold_seconds: float, base_seconds: float
) -> tuple[float | None, float]:
    """Late = arrivals - responses within the threshold; never interpolated, never from work alone.

    What left no response is counted where the source counts it, and otherwise by what is missing beyond
    the arrivals that cannot have a response yet.
    """
    for profile, view in sources:
        bound = exact_bound(view.within, threshold_seconds)
        if profile.durations == "service" or bound is None or not view.gate.usable:
            continue
        arrivals, responses = view.arrivals_base, view.responses or 0.0
        counted = arrivals * base_seconds
        if counted < FEWEST_FOR_LATE:
            return None, counted
        pending = max(arrivals, view.arrivals_now) * LATENCY_LAG_SECONDS / base_seconds + 3 / base_seconds
        missing = max(view.unanswered, arrivals - responses - pending)
        late = max(responses - view.within[bound], 0.0) + missing
        return min(late / max(responses + missing, arrivals * 0.5), 1.0), counted
    return None, 0.0


def _failure_reason(failure: Failure) -> str:
    return "PrometheusUnreachable" if failure.reason in ("Unreachable", "Timeout") else failure.reason
