"""What is read of the autoscaler: its log's ticks as the loop writes them, and the audit log's writes of statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autoscaler.stopwatch import Stopwatch
from loadtests.scale.audit import events
from loadtests.scale.autoscalers import statuses, ticks
from loadtests.scale.autoscalers.measures import chunks_of_history
from loadtests.scale.autoscalers.statuses import StatusWrite, write_of
from loadtests.scale.autoscalers.ticks import ticks_in

LINE = (
    "2026-01-01 00:00:00,000 DEBUG autoscaler.loop: tick of 100 targets: 5 questions, 2 scalings, {} statuses; "
    "objects 0.010 s of CPU in 0.020 s, signals 0.200 s of CPU in 1.500 s, decide {} s of CPU in 0.400 s, "
    "writes 0.050 s of CPU in 0.250 s, history 0.000 s of CPU in 0.000 s"
)


def test_ticks_are_told_by_part() -> None:
    """Their own CPU ends with the writes built; what passes ends with the last write. Other lines are none."""
    (tick,) = ticks_in([LINE.format(3, "0.300"), "2026-01-01 00:00:00 INFO autoscaler.loop: took over"])

    assert (tick.targets, tick.questions, tick.scalings, tick.statuses) == (100, 5, 2, 3)
    assert tick.cpu_seconds == pytest.approx(0.51)
    assert tick.seconds_to_last_write == pytest.approx(2.17)


def test_a_stopwatch_is_read_back() -> None:
    """The parts of a tick are found as the loop words them."""
    watch = Stopwatch()
    for part in (*ticks.PARTS, ticks.WRITES, ticks.HISTORY):
        watch.spent(part)
    (tick,) = ticks_in([f"tick of 1 targets: 5 questions, 0 scalings, 0 statuses; {watch}"])

    assert set(tick.cpu) == set(watch.parts)
    assert tick.seconds_to_last_write < 1


def test_figures_are_medians_beside_the_most() -> None:
    """One slow tick moves only what says `most`."""
    found = ticks.figures(ticks_in(LINE.format(3, took) for took in ("0.300", "0.300", "2.300")))

    assert (found["cpu_seconds"], found["cpu_seconds_most"]) == (0.51, 2.51)
    assert found["cpu_parts"]["decide"] == 0.3
    assert (found["ticks"], found["autoscalers"], found["queries_most"]) == (3, 100, 5)


def event(code: int = 200, name: str = "a", second: int = 0, **status: Any) -> dict[str, Any]:
    """The write of a status as the audit log has it."""
    told = {
        "observedGeneration": 1,
        "desiredReplicas": 2,
        "conditions": [],
        "lastDecision": {"time": "x"},
    } | status
    return {
        "stage": "ResponseComplete",
        "verb": "patch",
        "user": {"username": "ours"},
        "objectRef": {
            "resource": "inferenceautoscalers",
            "namespace": "team",
            "name": name,
            "subresource": "status",
        },
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.000000Z",
        "stageTimestamp": f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}.000000Z",
        "requestObject": {"status": told},
    }


def written(*found: dict[str, Any]) -> list[StatusWrite]:
    """The writes of these events."""
    return [write for one in found if (write := write_of(one, "ours")) is not None]


@pytest.mark.parametrize(
    ("change", "refreshes", "why"),
    [
        ({"lastDecision": {"time": "y"}}, 1, "numbers alone"),
        ({"learned": {"capacityPerReplicaPerMinute": 7}}, 1, "a number that comes and goes"),
        ({"desiredReplicas": 3}, 0, "replicas"),
        ({"learned": {"serviceTimeMilliseconds": 7}}, 0, "what was not learned before"),
        ({"conditions": [{"type": "A", "status": "True", "reason": "B"}]}, 0, "a condition"),
        ({"reserve": {"reservePercent": 100, "carriesPercent": 50}}, 0, "an answer to a share"),
    ],
)
def test_a_refresh_says_nothing_but_other_numbers(change: dict[str, Any], refreshes: int, why: str) -> None:
    """What else it says makes it news."""
    found = statuses.figures(written(event()), written(event(second=10, **change)), 600.0, 10)

    assert found["writes"] == 1
    assert found["refreshes"] == refreshes, why


def test_writes_are_counted_by_the_minute_and_by_object() -> None:
    """Refused ones and those of others are none of the autoscaler's; the first of an object is news."""
    others = [event(code=409), event() | {"user": {"username": "somebody"}}]
    news = [event(name=name, second=second) for second, name in enumerate("abc")]
    again = [event(name="a", second=70), event(name="a", second=80), event(name="b", second=90)]
    found = statuses.figures([], written(*others, *news, *again), 120.0, 3)

    assert (found["writes"], found["per_minute"], found["most_in_a_minute"]) == (6, 3.0, 3)
    assert (found["refreshes"], found["refreshes_of_one_most"]) == (3, 2)


def test_the_audit_log_is_read_on(tmp_path: Path) -> None:
    """From where it was left, without the line under way."""
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(event()) + "\n" + json.dumps(event(second=1))[:50])
    first, place = events(log, 0, lambda one: write_of(one, "ours"))
    log.write_text(json.dumps(event()) + "\n" + json.dumps(event(second=1)) + "\n")
    second, _ = events(log, place, lambda one: write_of(one, "ours"))

    assert [write.at for write in (*first, *second) if write] == [1767225600.0, 1767225601.0]


def test_history_is_read_in_chunks_of_bounded_size() -> None:
    """Of many, one step of a minute at a time: two days of them."""
    assert chunks_of_history(10_000) == 2880
    assert chunks_of_history(1000) == 288
    assert chunks_of_history(1) == 12
