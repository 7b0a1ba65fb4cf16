"""The validity gate."""

from typing import Any

import pytest

from autoscaler.signals.expected import Expectation, Freshness
from autoscaler.signals.observe import Observation, observe
from autoscaler.signals.profiles import BUILT_IN
from autoscaler.signals.views import Answers, Failure, Gate, Signals
from tests.autoscaler.world import Answer, Sample

NOW = 1000.0
KEY = ("demo", "digits")
SETTLED = Expectation(ready_replicas=2, ready_for_seconds=600, gateway=False)


def answers(**numbers: dict[str, float]) -> Answers:
    """Answers from `profile_question={signal: value}`; a signal of digits is a bound in the histogram."""
    found: dict[str, Answer] = {name: Answer() for name in ("now", "base", "late", "gauges", "gpu")}
    for place, signals in numbers.items():
        profile, _, question = place.partition("_")
        for signal, value in signals.items():
            labels = {"namespace": "demo", "deployment": "digits", "profile": profile, "signal": signal}
            if signal[0].isdigit():
                labels |= {"signal": "within", "le": signal}
            found[question].samples.append(Sample(labels, value))
    return dict(found)


def seen(
    found: Answers,
    expected: Expectation = SETTLED,
    profile: str = "mlserver",
    threshold_seconds: float = 0.5,
) -> Observation:
    signals = Signals(found, NOW, Freshness(5))
    return observe(signals, KEY, BUILT_IN[profile], expected, threshold_seconds, 60)


UP = {"sampled_at": NOW - 3, "scraped": 2.0}
FRESH = {"sampled_at": NOW - 3}


@pytest.mark.parametrize(
    ("numbers", "expected", "gate", "reason", "why"),
    [
        (
            {"up_gauges": UP, "mlserver_gauges": FRESH, "mlserver_now": {"requests": 5.0}},
            SETTLED,
            Gate.OK,
            "",
            "all there",
        ),
        (
            {"up_gauges": UP, "mlserver_gauges": FRESH, "mlserver_now": {"requests": 0.0}},
            SETTLED,
            Gate.ZERO,
            "",
            "no traffic",
        ),
        (
            {"up_gauges": UP, "mlserver_gauges": FRESH},
            SETTLED,
            Gate.ABSENT,
            "NotYetScraped",
            "one sample makes no rate: not zero",
        ),
        ({"up_gauges": UP}, SETTLED, Gate.ZERO, "", "scraped, and no series until the first request"),
        ({}, SETTLED, Gate.MISSING, "NoSeries", "nothing known of ready pods"),
        ({}, Expectation(2, 5, False), Gate.ABSENT, "NotYetScraped", "pods of five seconds"),
        ({}, Expectation(0, 0, False), Gate.ABSENT, "NoReadyPods", "no pods, no series"),
        ({"up_gauges": {"sampled_at": NOW - 60}}, SETTLED, Gate.STALE, "Stale", "a minute old"),
        (
            {"up_gauges": UP, "mlserver_gauges": FRESH, "mlserver_now": {"requests": -5.0}},
            SETTLED,
            Gate.IMPLAUSIBLE,
            "Implausible",
            "negative",
        ),
        (
            {"up_gauges": UP, "mlserver_gauges": FRESH, "mlserver_now": {"requests": 5e9}},
            SETTLED,
            Gate.IMPLAUSIBLE,
            "Implausible",
            "a thousand times what any service gets",
        ),
    ],
)
def test_gate(numbers: dict[str, Any], expected: Expectation, gate: Gate, reason: str, why: str) -> None:
    """The pods' account, from every kind of answer."""
    view = seen(answers(**numbers), expected).pods
    assert (view.gate, view.reason) == (gate, reason), why


@pytest.mark.parametrize(
    ("profile", "of_second", "seconds"),
    [("triton", 1e6, 0.08), ("gateway", 1e3, 40.0)],
)
def test_a_duration_is_credible_by_what_it_is_in_seconds(
    profile: str, of_second: float, seconds: float
) -> None:
    """Forty requests a second that take a batch's time each in microseconds, or stay for long in milliseconds."""
    found = answers(
        up_gauges=UP,
        **{
            f"{profile}_gauges": FRESH,
            f"{profile}_now": {
                "requests": 40.0,
                "work_sum": 40.0 * seconds * of_second,
                "work_count": 40.0,
            },
        },
    )
    observation = seen(found, profile=profile)
    view = observation.gateway if profile == "gateway" else observation.pods
    assert view.gate is Gate.OK
    assert view.work_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ("Unreachable", "PrometheusUnreachable"),
        ("Timeout", "PrometheusUnreachable"),
        ("QueryRefused", "QueryRefused"),
    ],
)
def test_a_failed_question_blinds_every_view(failure: str, reason: str) -> None:
    """No answer is not an empty answer."""
    observation = seen({name: Failure(failure, "why") for name in ("now", "base", "gauges")})
    assert observation.blind
    assert observation.pods.reason == reason


def test_not_a_number_is_told_apart_from_nothing() -> None:
    """NaN instead of every series."""
    found = {name: Answer(not_finite=3) for name in ("now", "base", "late", "gauges", "gpu")}
    assert seen(found).pods.reason == "NotFinite"


@pytest.mark.parametrize(
    ("of", "gate", "why"),
    [
        ([{"namespace": "demo", "deployment": "digits"}], Gate.MISSING, "its own"),
        ([{"namespace": "demo", "deployment": "other"}], Gate.ZERO, "another's: no series is no request yet"),
        ([{"namespace": "demo"}], Gate.ZERO, "of no Deployment"),
        ([{}], Gate.MISSING, "without labels it may be anybody's"),
        ([], Gate.MISSING, "as is one that nothing is told of"),
    ],
)
def test_not_a_number_blinds_whom_it_is_of(of: list[dict[str, str]], gate: Gate, why: str) -> None:
    """A pod of one team that exports NaN is nothing to the targets of others."""
    found = answers(up_gauges=UP) | {"now": Answer(not_finite=1, not_finite_of=of)}
    assert seen(found).pods.gate is gate, why


def test_a_gateway_that_was_seen_is_missed() -> None:
    """Once a backend had series at the gateway, their absence blinds."""
    numbers = answers(up_gauges=UP)
    assert not seen(numbers).blind
    assert seen(numbers, Expectation(2, 600, True)).gateway.reason == "NoSeries"


def test_the_gateway_profile_misses_a_backend_with_weight_only() -> None:
    """A canary before its first step need not be known to the gateway; one that gets traffic must be."""
    waiting = Expectation(2, 600, gateway=False, weight_percent=0)
    assert not seen(answers(), waiting, "gateway").blind
    assert seen(answers(), SETTLED, "gateway").gateway.reason == "NoSeries"


def test_partly_scraped_pods_do_not_let_demand_shrink() -> None:
    """One of two ready pods unseen: incomplete, though not blind."""
    observation = seen(answers(up_gauges={"sampled_at": NOW, "scraped": 1.0}))
    assert not observation.blind
    assert not observation.complete


GATEWAY = {"sampled_at": NOW - 3}


@pytest.mark.parametrize(
    ("base", "late", "ratio", "why"),
    [
        ({"requests": 10.0}, {"responses": 10.0, "500": 9.9}, 0.01, "one in a hundred is slow"),
        (
            {"requests": 10.0},
            {"responses": 10.0, "250": 10.0, "1000": 10.0},
            None,
            "no bucket at the threshold",
        ),
        ({"requests": 0.5}, {"responses": 0.5, "500": 0.0}, None, "too few to say"),
        (
            {"requests": 10.0},
            {"responses": 9.0, "500": 9.0, "timed_out": 1.0},
            0.1,
            "time-outs have no entry",
        ),
        ({"requests": 10.0}, {"responses": 0.0, "500": 0.0}, 1.0, "total failure: everything is missing"),
        ({"unrouted": 10.0}, {"responses": 0.0, "500": 0.0, "unrouted": 10.0}, 1.0, "nobody to send to"),
        ({"requests": 10.0}, {"responses": 9.2, "500": 9.2}, 0.0, "what has just arrived is not missing yet"),
    ],
)
def test_late_is_what_is_missing(
    base: dict[str, float], late: dict[str, float], ratio: float | None, why: str
) -> None:
    """Late requests are counted at the gateway, exactly or not at all."""
    found = answers(
        gateway_gauges=GATEWAY, gateway_now=base, gateway_base=base, gateway_late=late, up_gauges=UP
    )
    assert seen(found).late_ratio == pytest.approx(ratio, abs=0.005), why


def of_another(found: Answers, profile: str, *bounds: str) -> Answers:
    """The same, and a target whose histogram of the same name has these bounds."""
    answer = found["late"]
    assert isinstance(answer, Answer)
    labels = {"namespace": "demo", "deployment": "other", "profile": profile, "signal": "within"}
    answer.samples += [Sample(labels | {"le": bound}, 1.0) for bound in bounds]
    return found


@pytest.mark.parametrize(
    ("late", "ratio", "lacking", "why"),
    [
        ({"responses": 10.0, "0.3": 10.0, "1": 10.0}, None, {0.5}, "buckets of another version"),
        ({"responses": 10.0, "0.3": 9.0, "0.5": 9.9, "1": 10.0}, 0.01, set(), "the same buckets"),
        ({"responses": 10.0}, None, {0.5, 1.0}, "none of its own, although there are responses"),
        ({"responses": 0.0}, 1.0, set(), "no response yet, and so no bucket"),
        ({}, 1.0, set(), "nor a count of them"),
        ({"responses": 0.0, "0.3": 0.0}, None, {0.5, 1.0}, "buckets of another version before any response"),
    ],
)
def test_the_bounds_of_others_are_not_read_as_zeros(
    late: dict[str, float], ratio: float | None, lacking: set[float], why: str
) -> None:
    """Two versions of a server may have different buckets: what one lacks is not measured there."""
    numbers = {"vllm_gauges": FRESH, "vllm_now": {"requests": 10.0}, "vllm_base": {"requests": 10.0}}
    found = of_another(answers(up_gauges=UP, vllm_late=late, **numbers), "vllm", "0.5", "1")
    observation = seen(found, profile="vllm")
    assert observation.late_ratio == pytest.approx(ratio), why
    assert observation.pods.lacking == lacking, why


def test_a_bound_that_was_not_asked_for_is_not_lacking() -> None:
    """The list of all bounds comes a tick before any of them is asked for."""
    numbers = {"vllm_gauges": FRESH, "vllm_now": {"requests": 10.0}, "vllm_base": {"requests": 10.0}}
    told = Answer(
        [Sample({"profile": "vllm", "signal": "bound", "le": bound}, 9.0) for bound in ("0.5", "+Inf")]
    )
    found = {**answers(up_gauges=UP, vllm_late={"responses": 10.0}, **numbers), "bounds": told}
    view = seen(found, profile="vllm").pods
    assert (dict(view.within), set(view.lacking)) == ({}, set())


def test_work_without_a_histogram_of_its_own_has_no_tail() -> None:
    """A model server that is called by gRPC, beside one that is called by HTTP and has the histogram."""
    numbers = {"mlserver_gauges": FRESH, "mlserver_now": {"requests": 10.0}}
    found = of_another(answers(up_gauges=UP, mlserver_late={"responses": 10.0}, **numbers), "mlserver", "0.5")
    assert seen(found).pods.within == {}


@pytest.mark.parametrize(
    ("threshold_seconds", "now", "base", "late", "ratio", "why"),
    [
        (120.0, 1.5, 1.5, {"responses": 1.0, "120000": 1.0}, 0.0, "half as many more since a minute, of a minute each"),
        (120.0, 1.0, 1.0, {"responses": 1.0, "120000": 0.9}, 0.1, "one in ten took longer"),
        (120.0, 1.0, 1.0, {"responses": 0.5, "120000": 0.5, "timed_out": 0.5}, 0.5, "half are given up"),
        (20.0, 3.0, 2.0, {"responses": 1.1, "20000": 1.1}, 0.0, "a rise within the last twenty seconds"),
        (20.0, 2.0, 2.0, {"responses": 0.5, "20000": 0.5}, 0.61, "of older ones most are missing"),
    ],
)  # fmt: skip
def test_what_is_younger_than_the_threshold_is_not_late(
    threshold_seconds: float, now: float, base: float, late: dict[str, float], ratio: float, why: str
) -> None:
    """Requests of a minute each may be in flight for a minute."""
    found = answers(
        gateway_gauges=GATEWAY,
        gateway_now={"requests": now},
        gateway_base={"requests": base},
        gateway_late=late,
        up_gauges=UP,
    )
    observation = seen(found, threshold_seconds=threshold_seconds)
    assert observation.late_ratio == pytest.approx(ratio, abs=0.01), why


@pytest.mark.parametrize(
    ("gateway", "late", "pods", "arrivals", "why"),
    [
        (10.0, {"responses": 10.0}, 10.0, 10.0, "both agree"),
        (10.0, {"responses": 20.0}, 20.0, 10.0, "a queue drains: completions are no arrivals"),
        (10.0, {"responses": 10.0}, 30.0, 30.0, "most callers pass the gateway by"),
        (10.0, {"responses": 5.0}, 5.0, 10.0, "overload: arrivals, not completions"),
        (0.0, {"responses": 0.0}, 8.0, 8.0, "all callers pass it by"),
        (
            0.0,
            {"responses": 0.0},
            0.18,
            0.18,
            "a few callers, who may ask for half a minute each, pass it by",
        ),
        (0.5, {"responses": 0.5}, 0.7, 0.5, "twelve requests more of forty may be chance"),
        (0.0, {"responses": 0.0}, 0.1, 0.0, "so may six"),
        (10.0, {"responses": 5.0, "500": 2.0}, 20.0, 10.0, "pods work off what callers have given up"),
    ],
)
def test_arrivals_join_both_accounts(
    gateway: float, late: dict[str, float], pods: float, arrivals: float, why: str
) -> None:
    """The gateway's count, and what reaches the pods past it."""
    found = answers(
        gateway_gauges=GATEWAY,
        gateway_now={"requests": gateway},
        gateway_base={"requests": gateway},
        gateway_late=late,
        up_gauges=UP,
        mlserver_gauges=FRESH,
        mlserver_now={"requests": pods},
        mlserver_base={"requests": pods},
    )
    assert seen(found).arrivals_now == pytest.approx(arrivals), why


@pytest.mark.parametrize(("gateway", "pods", "most"), [(0.0, 6.0, 6.0), (7.0, 6.0, 7.0), (7.0, None, 7.0)])
def test_in_flight_is_what_the_one_sees_who_sees_more(
    gateway: float, pods: float | None, most: float
) -> None:
    """The gateway sees who waits for a pod, the pods see who has passed it by."""
    at_pods = {} if pods is None else {"in_flight": pods}
    found = answers(
        gateway_gauges=GATEWAY | {"in_flight": gateway},
        gateway_now={"requests": 1.0},
        up_gauges=UP,
        vllm_gauges=FRESH | at_pods,
        vllm_now={"requests": 1.0},
    )
    assert seen(found, profile="vllm").in_flight == most
