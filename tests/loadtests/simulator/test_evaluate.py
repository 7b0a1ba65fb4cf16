"""Questions and their answers from scraped samples, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.signals.profiles import BUILT_IN, ENVOY
from autoscaler.signals.queries import Windows, bounds_question, questions
from loadtests.simulator.evaluate import Evaluator
from loadtests.simulator.promql import PromQLError, parse
from loadtests.simulator.store import Targets

TWO_PODS = [{"namespace": "n", "pod": "a-5d8c9-00001"}, {"namespace": "n", "pod": "b-5d8c9-00001"}]


def scraped(values: dict[float, tuple[float, float]], depth: int = 8) -> Targets:
    """Two pods with one counter `c`, and when it was how high."""
    targets = Targets({"c": TWO_PODS, "up": TWO_PODS}, 2, depth)
    for at, pair in values.items():
        targets.scrape(np.array([0, 1]), at, {"c": np.array(pair), "up": np.ones(2)})
    return targets


def answered(targets: Targets, question: str, now: float) -> dict[str, float]:
    """Values by pod, or by all labels where there is none."""
    found = Evaluator([targets]).answer(question, now).samples
    return {sample.labels.get("pod", str(dict(sample.labels))): sample.value for sample in found}


STEADY = {10.0: (0.0, 100.0), 25.0: (30.0, 100.0), 40.0: (60.0, 115.0), 55.0: (90.0, 130.0)}


@pytest.mark.parametrize(
    ("question", "now", "expected", "why"),
    [
        ("rate(c[60s])", 60.0, (100 / 60, 40 / 60), "extrapolated to the bounds that the samples come near, never below zero"),
        ("rate(c[35s])", 60.0, (70 / 35, 35 / 35), "two samples, and both ends are near"),
        ("rate(c[25s])", 60.0, (2.0, 1.0), "two samples and the rest of the window"),
        ("rate(c[10s])", 60.0, (None, None), "of one sample there is no rate"),
        ("c", 60.0, (90.0, 130.0), "the last value"),
        ("c", 400.0, (None, None), "for five minutes, then none"),
        ("avg_over_time(c[36s])", 60.0, (60.0, 115.0), "the mean of three"),
        ("count_over_time(c[1m])", 60.0, (4.0, 4.0), "all of the last minute"),
        ("timestamp(c)", 60.0, (55.0, 55.0), "when it was scraped last"),
        ("timestamp(c) and (up == 1)", 60.0, (55.0, 55.0), "where the scrape succeeded"),
        ("timestamp(c) and (up == 0)", 60.0, (None, None), "nowhere"),
        ("c != 90", 60.0, (None, 130.0), "all others"),
        ('c{pod=~"a-.*"}', 60.0, (90.0, None), "chosen by an expression that covers the whole label"),
        ('-1 * c{pod!~"a-.*"}', 60.0, (None, -130.0), "arithmetic with a number"),
        ('c{pod=~"a-.*"} or c / 10', 60.0, (90.0, 13.0), "the right side where the left has none"),
    ],
)  # fmt: skip
def test_answers(question: str, now: float, expected: tuple[float | None, float | None], why: str) -> None:
    """As Prometheus has them."""
    found = answered(scraped(STEADY), question, now)
    pods = [labels["pod"] for labels in TWO_PODS]
    wanted = {pod: value for pod, value in zip(pods, expected, strict=True) if value is not None}
    assert found == pytest.approx(wanted), why


def test_a_restart_counts_from_zero() -> None:
    """A value below the one before it is a counter that began anew."""
    targets = scraped({10.0: (100.0, 0.0), 25.0: (130.0, 0.0), 40.0: (20.0, 0.0), 55.0: (50.0, 0.0)})
    assert answered(targets, 'rate(c{pod=~"a.*"}[60s])', 55.0)[TWO_PODS[0]["pod"]] == pytest.approx(80 / 45)


def test_what_is_gone_has_a_past_and_no_present() -> None:
    """An ended target has no value any more, but what it counted stays in the windows."""
    targets = scraped(STEADY)
    targets.end(np.array([0]))
    assert answered(targets, "c", 60.0) == {TWO_PODS[1]["pod"]: 130.0}
    assert len(answered(targets, "rate(c[60s])", 60.0)) == 2


def test_labels_are_replaced_and_summed() -> None:
    """As the autoscaler finds a pod's Deployment."""
    named = 'label_replace(rate(c[60s]), "deployment", "$1", "pod", "(.+)-[a-z0-9]{5}-[a-z0-9]{5}")'
    by_name = Evaluator([scraped(STEADY)]).answer(f"sum by (namespace, deployment) ({named})", 60.0).samples
    assert {s.labels["deployment"]: s.value for s in by_name} == pytest.approx({"a": 100 / 60, "b": 40 / 60})
    (whole,) = Evaluator([scraped(STEADY)]).answer("sum without (pod) (rate(c[60s]))", 60.0).samples
    assert (whole.labels, whole.value) == ({"namespace": "n"}, pytest.approx(140 / 60))
    (most,) = Evaluator([scraped(STEADY)]).answer("max by (namespace) (c)", 60.0).samples
    assert most.value == 130.0


@pytest.mark.parametrize(
    "question", ["increase(c[5m])", "c > 3", "rate(c)", "sum(c)", "c{pod=", "c c", "c[5y]", 'c{pod="a" "b"}']
)
def test_what_is_not_known_is_refused(question: str) -> None:
    """Never guessed."""
    with pytest.raises(PromQLError):
        Evaluator([scraped(STEADY)]).answer(question, 60.0)


def test_every_question_of_the_autoscaler_is_understood() -> None:
    """Of each profile, with bounds."""
    profiles = list(BUILT_IN.values())
    asked = questions(
        profiles, Windows.of(15), {profile.id: ["0.5", "+Inf"] for profile in profiles}, 'x="y"'
    )
    for text in (*asked.values(), bounds_question([ENVOY])):
        parse(text)
