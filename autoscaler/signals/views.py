"""Answers of Prometheus, found by target, with a validity gate before every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from autoscaler.signals.expected import Expectation, Freshness
from autoscaler.signals.numbers import Numbers, SampleLike, TargetKey
from autoscaler.signals.profiles import Profile
from autoscaler.signals.queries import BOUNDS

CREDIBLE_RATE_PER_SECOND: Final = 1e6
"""No single service of ours gets more; a larger number is a fault of the data."""


class AnswerLike(Protocol):
    """An answer: finite samples, how many values were not finite, and the labels of these as far as they are known."""

    @property
    def samples(self) -> Sequence[SampleLike]: ...
    @property
    def not_finite(self) -> int: ...
    @property
    def not_finite_of(self) -> Sequence[Mapping[str, str]]: ...


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
    """Rate of the responses within so many seconds, at the bounds of its own histogram that were asked for."""
    lacking: AbstractSet[float] = frozenset()
    """Of the bounds that were asked for those that only the histograms of others have."""
    sampled_at: float | None = None
    samples_per_minute: float | None = None
    """How often a gateway was scraped in the last minute."""
    part: float | None = None
    """Of what is counted of its whole route, the part that is meant for this target; None if it is counted by itself."""


class Signals:
    """All answers of one tick, found by target."""

    def __init__(
        self, answers: Answers, now: float, freshness: Freshness, at_gateway: Freshness | None = None
    ) -> None:
        self.now = now
        self.freshness = freshness
        self.freshness_at_gateway = at_gateway or freshness
        self.gateway_is_known = at_gateway is not None
        """Whether it is known how often gateways are scraped."""
        self.failures = {name: answer for name, answer in answers.items() if isinstance(answer, Failure)}
        self._numbers = Numbers()
        for question, answer in answers.items():
            # What bounds there are is no number of any target.
            if not isinstance(answer, Failure) and question != BOUNDS:
                self._numbers.put_not_finite(answer.not_finite, answer.not_finite_of)
                self._numbers.put(question, answer.samples)

    def samples_per_minute(self, key: TargetKey) -> float | None:
        """How often the target's pods were scraped in the last minute."""
        return self._numbers.value(key, "gauges", "up", "samples_per_minute")

    def scraped_at(self, key: TargetKey) -> float | None:
        """When one of the target's pods was scraped last with success."""
        return self._numbers.value(key, "gauges", "up", "sampled_at")

    def gpu_utilization(self, key: TargetKey) -> float | None:
        """Busy share of the target's accelerators, 0 to 1."""
        value = self._numbers.value(key, "gpu", "gpu", "utilization")
        return value if value is not None and 0 <= value <= 1.5 else None

    def knows(self, key: TargetKey, profile: Profile) -> bool:
        """Whether a source counts anything under this name."""
        return self._numbers.value(key, "gauges", profile.id, "sampled_at") is not None

    def view(self, key: TargetKey, profile: Profile, expected: Expectation) -> View:
        """The account of one source, gated."""
        for question in ("now", "base", "gauges"):
            if failure := self.failures.get(question):
                return View(Gate.MISSING, _failure_reason(failure), f"Prometheus: {failure.message}")
        sampled_at = self._sampled_at(key, profile)
        if sampled_at is None:
            return self._without_series(key, profile, expected)
        freshness = self.freshness_at_gateway if profile.source == "gateway" else self.freshness
        if self.now - sampled_at > freshness.stale_seconds:
            return View(
                Gate.STALE,
                "Stale",
                f"the newest sample of the {profile.source} is older than "
                f"{freshness.stale_seconds:.0f} s: see whether Prometheus still scrapes them",
                sampled_at=sampled_at,
            )
        return self._reading(key, profile, expected, sampled_at)

    def _sampled_at(self, key: TargetKey, profile: Profile) -> float | None:
        times = [self._numbers.value(key, "gauges", profile.id, "sampled_at")]
        if profile.lazy:
            times.append(self.scraped_at(key))
        return max((time for time in times if time is not None), default=None)

    def _without_series(self, key: TargetKey, profile: Profile, expected: Expectation) -> View:
        if profile.source == "gateway":
            if not expected.gateway:
                return View(Gate.ABSENT, "NoGateway", "no gateway reports this backend")
            counter = profile.counters[profile.presence].name
            missing = f"{counter} for backend {key[1]} or route {expected.route}"
        else:
            if expected.ready_replicas < 1:
                return View(Gate.ABSENT, "NoReadyPods", "no pod is ready yet")
            if expected.ready_for_seconds < self.freshness.grace_seconds:
                return View(Gate.ABSENT, "NotYetScraped", "the pods are new to Prometheus")
            missing = f"{profile.counters[profile.presence].name} for pods of {key[1]}"
        if self._numbers.not_finite(key):
            return View(Gate.MISSING, "NotFinite", f"Prometheus answers NaN or infinity instead of {missing}")
        return View(Gate.MISSING, "NoSeries", f"Prometheus has no {missing}: check the scrape configuration")

    def _reading(self, key: TargetKey, profile: Profile, expected: Expectation, sampled_at: float) -> View:
        value, name = self._numbers.of(key).get, profile.id

        def rate(question: str, signs: Mapping[str, int]) -> float | None:
            total = None
            for signal, sign in signs.items():
                if (one := value((question, name, signal))) is not None:
                    total = (total or 0.0) + sign * one
            return total

        now, base = rate("now", profile.arrivals), rate("base", profile.arrivals)
        samples = value(("gauges", name, "samples_per_minute"))
        # A view that is sampled and yet has no rate: a series with one sample so far, or values that were
        # not finite. Only where the counter itself is absent is no series no request.
        has_counter = value(("gauges", name, "sampled_at")) is not None
        if now is None and self._numbers.not_finite(key) and (has_counter or expected.ready_replicas > 0):
            return View(
                Gate.MISSING, "NotFinite", "Prometheus answers NaN or infinity", sampled_at=sampled_at
            )
        if now is None and has_counter:
            message = "fewer than two samples in the window of the rates"
            return View(
                Gate.ABSENT, "NotYetScraped", message, sampled_at=sampled_at, samples_per_minute=samples
            )
        failures = rate("now", profile.failures) or 0.0
        total, count = value(("now", name, "work_sum")), value(("now", name, "work_count"))
        in_flight = value(("gauges", name, "in_flight"))
        # Sources tell durations in milliseconds or less: a million of these in a second are a thousand at work.
        working = None if total is None else total * profile.work.seconds
        numbers = [n for n in (now, base, failures, working, count, in_flight) if n is not None]
        if any(number < -1e-6 or number > CREDIBLE_RATE_PER_SECOND for number in numbers):
            return View(
                Gate.IMPLAUSIBLE,
                "Implausible",
                f"a rate or gauge of the {profile.source} is negative or beyond belief: check the metric",
                sampled_at=sampled_at,
            )
        now, base = now or 0.0, base or 0.0
        responses = value(("late", name, "responses"))
        within, lacking = self._responses(key, profile, responses)
        quiet = now <= 0 and base <= 0 and failures <= 0 and (in_flight or 0) <= 0
        return View(
            Gate.ZERO if quiet else Gate.OK,
            arrivals_now=now,
            arrivals_base=base,
            unanswered=rate("late", profile.unanswered) or 0.0,
            responses=responses,
            failures_now=failures,
            completions=count or 0.0,
            work_seconds=total / count * profile.work.seconds if total and count else None,
            in_flight=in_flight,
            within=within,
            lacking=lacking,
            sampled_at=sampled_at,
            samples_per_minute=samples,
        )

    def _responses(
        self, key: TargetKey, profile: Profile, responses: float | None
    ) -> tuple[Mapping[float, float], AbstractSet[float]]:
        """By bound in seconds, and the bounds that it lacks. Without any response yet, none are within those of others."""
        if profile.buckets is None:
            return {}, frozenset()
        own, asked = self._numbers.within(key, profile.id), self._numbers.bounds(profile.id)
        if not own and not responses:
            own = dict.fromkeys(asked, 0.0)
        unit = profile.buckets.seconds
        lacking = (
            frozenset(bound * unit for bound in asked - own.keys()) if len(own) < len(asked) else frozenset()
        )
        return {bound * unit: rate for bound, rate in own.items()}, lacking

    def scraped_pods(self, key: TargetKey) -> int | None:
        """Pods of the target that Prometheus scrapes with success."""
        value = self._numbers.value(key, "gauges", "up", "scraped")
        return None if value is None else int(value)


def _failure_reason(failure: Failure) -> str:
    return "PrometheusUnreachable" if failure.reason in ("Unreachable", "Timeout") else failure.reason
