"""A Prometheus that fails: what is scraped and answered meanwhile, and afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from autoscaler.signals.views import Failure
from loadtests.faults.monitoring import UNREACHABLE, FaultyPrometheus
from loadtests.simulator.store import Targets

POD = "sum by (pod) (rate(work_total[60s]))"
UP = "sum by (pod) (up)"


def prometheus() -> FaultyPrometheus:
    """Two pods with a counter."""
    labels = [{"pod": "a"}, {"pod": "b"}]
    return FaultyPrometheus([Targets({"work_total": labels, "up": labels}, 2, 16)])


def scrape(of: FaultyPrometheus, at: float, work: float) -> None:
    """Both pods have done the same."""
    values = {"work_total": np.array([work, work]), "up": np.ones(2)}
    of.scrape(0, np.arange(2), at, values)


def told(of: FaultyPrometheus, question: str, at: float) -> dict[str, float]:
    """Values by pod."""
    answer = of.answer(question, at)
    assert not isinstance(answer, Failure)
    return {sample.labels["pod"]: sample.value for sample in answer.samples}


def test_without_a_fault_it_is_as_any_other() -> None:
    """Each pod's rate."""
    of = prometheus()
    for step in range(5):
        scrape(of, 15.0 * step, 30.0 * step)
    assert told(of, POD, 60.0) == pytest.approx({"a": 2.0, "b": 2.0})


def test_an_outage_answers_nothing_and_forgets_nothing() -> None:
    """What was scraped meanwhile is there afterwards."""
    of = prometheus()
    of.failure = UNREACHABLE
    for step in range(5):
        scrape(of, 15.0 * step, 30.0 * step)
    assert of.answer(POD, 60.0) == UNREACHABLE
    of.failure = None
    assert told(of, POD, 60.0) == pytest.approx({"a": 2.0, "b": 2.0})


def test_values_that_are_no_numbers_are_counted() -> None:
    """As the client of a real one counts them."""
    of = prometheus()
    scrape(of, 0.0, 1.0)
    of.not_finite = True
    answer = of.answer(UP, 1.0)
    assert not isinstance(answer, Failure)
    assert (list(answer.samples), answer.not_finite) == ([], 2)


def test_what_is_not_scraped_grows_old() -> None:
    """One pod has its last samples, the other new ones."""
    of = prometheus()
    of.scraped = lambda kind, rows: rows == 0
    for step in range(5):
        scrape(of, 15.0 * step, 30.0 * step)
    assert told(of, POD, 60.0) == pytest.approx({"a": 2.0})


def test_who_answers_a_scrape_too_late_is_down() -> None:
    """The scrape counts as one that failed, nothing else is known of the pod meanwhile, and then it goes on."""
    of = prometheus()
    late: set[float] = {45.0, 60.0}
    for step in range(5):
        of.too_slow = lambda kind, rows, at=15.0 * step: (rows == 1) & (at in late)
        scrape(of, 15.0 * step, 30.0 * step)
    assert told(of, UP, 60.0) == {"a": 1.0, "b": 0.0}
    assert told(of, "sum by (pod) (work_total)", 60.0) == {"a": 120.0}
    assert told(of, "sum by (pod) (count_over_time(up[50s]))", 60.0) == {"a": 4.0, "b": 4.0}
    assert told(of, "sum by (pod) (count_over_time(work_total[50s]))", 60.0) == {"a": 4.0, "b": 2.0}
    of.too_slow = None
    scrape(of, 75.0, 150.0)
    assert told(of, "sum by (pod) (work_total)", 75.0) == {"a": 150.0, "b": 150.0}


def test_what_counts_anew_counts_on_from_zero() -> None:
    """Prometheus sees a reset, and the same rate again; gauges are what they are."""
    of = prometheus()
    for step in range(9):
        if step == 4:
            of.restart(0)
        scrape(of, 15.0 * step, 30.0 * step)
    assert of.kinds[0].values["work_total"][0, -5:].tolist() == [0.0, 30.0, 60.0, 90.0, 120.0]
    assert told(of, POD, 120.0) == pytest.approx({"a": 2.0, "b": 2.0})
    assert told(of, UP, 120.0) == {"a": 1.0, "b": 1.0}


def test_two_miss_different_scrapes_and_answer_in_turn() -> None:
    """Each has gaps of its own, so that two answers of one moment differ."""
    of = prometheus()
    scrape(of, 0.0, 0.0)
    of.in_two(0.5)
    for step in range(1, 13):
        scrape(of, 15.0 * step, 30.0 * step)
    questions = [f"sum by (pod) (count_over_time(work_total[{seconds}s]))" for seconds in (50, 80, 110, 170)]

    def both() -> list[list[float]]:
        return [[told(of, each, 180.0).get("a", 0.0) for _ in range(2)] for each in questions]

    assert any(first != second for first, second in both())
    assert max(both()[-1]) < 12
    of.in_one()
    assert all(first == second for first, second in both())
