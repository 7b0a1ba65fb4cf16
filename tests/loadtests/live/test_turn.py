"""What a turn of a policy came to, and in which order turns are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.live import course
from loadtests.live.policies import POLICIES
from loadtests.live.turn import Life, Turn, most_at_once, replica_seconds, table
from loadtests.record import Record

README = Path(__file__).parents[3] / "loadtests" / "README.md"


def record(number: int, latency_seconds: float, status: int = 200) -> Record:
    """A request that was due at its number."""
    return Record(
        number=number,
        scheduled_seconds=float(number),
        sent_seconds=float(number),
        status=status,
        failure="",
        revision="",
        ended_seconds=number + latency_seconds,
    )


@pytest.mark.parametrize(
    ("why", "lives", "expected", "most"),
    [
        ("nothing ran", [], 0, 0),
        ("a pod from before that lives on costs the whole turn", [Life(-50)], 100, 1),
        ("a pod costs until its processes have ended, not until it was wanted no more", [Life(10, 35)], 25, 1),
        ("what ends before the turn costs nothing, and what ends after it no more than the turn", [Life(-9, -1), Life(90, 130)], 10, 1),
        ("pods of one time are counted together", [Life(-5), Life(10, 20), Life(15, 30), Life(25)], 200, 3),
    ],
)  # fmt: skip
def test_cost_is_the_time_of_pods_from_creation_to_exit(
    why: str, lives: list[Life], expected: float, most: int
) -> None:
    """Replica-seconds within the turn, and the most pods at once."""
    assert replica_seconds(lives, 100) == pytest.approx(expected), why
    assert most_at_once(lives, 100) == most, why


def test_figures_count_every_request_and_what_failed_as_late() -> None:
    """A bad answer is late however fast it came."""
    turn = Turn("hpa", [record(1, 0.1), record(2, 0.7), record(3, 0.1, 503)], [Life(0)], 60, 0.98)
    assert turn.figures(0.5) == {
        "policy": "hpa",
        "requests": 3,
        "not_2xx": 1,
        "late_fraction": 0.66667,
        "replica_seconds": 60.0,
        "replicas_most": 1,
        "model_to_real": 0.98,
    }


def test_the_table_has_medians_beside_ours() -> None:
    """Costs are told as multiples of ours; who had no turn has no row."""
    turns = [
        Turn("ours", [record(1, 0.1)], [Life(0)], seconds).figures(0.5) for seconds in (100, 120, 110)
    ] + [Turn("keda", [record(1, 0.9)], [Life(0), Life(0)], 110, 1.031).figures(0.5)]
    lines = table(turns).splitlines()
    assert lines[2] == "| ours | 3 | 0.0% | 110 | 1.00 | 1 | – |"
    assert lines[3] == "| keda | 1 | 100.0% | 220 | 2.00 | 2 | 1.031 |"
    assert len(lines) == 4


def test_turns_rotate_and_ours_has_a_pair() -> None:
    """Everybody is first once in three rounds, and two turns of ours come one after another."""
    assert course.turns(3) == [
        "ours",
        *("ours", "hpa", "keda"),
        *("hpa", "keda", "ours"),
        *("keda", "ours", "hpa"),
    ]
    assert course.turns(0) == []


def test_the_load_follows_the_machine_in_amplitude_and_not_in_time() -> None:
    """Twice the work per request is half the rate at the same moments."""
    slow, fast = course.profile(0.1), course.profile(0.05)
    assert slow.duration_seconds == fast.duration_seconds == course.TURN_SECONDS
    assert [change.at_seconds for change in slow.changes] == [change.at_seconds for change in fast.changes]
    assert max(change.rate_per_second for change in slow.changes) == pytest.approx(18)
    assert max(change.rate_per_second for change in fast.changes) == pytest.approx(36)


def test_every_key_of_the_summary_is_documented() -> None:
    """loadtests/README.md names each key of a turn, and each policy."""
    section = README.read_text(encoding="utf-8").partition("loadtests.live`")[2].partition("\n## ")[0]
    figures = Turn("ours", [], [], 1).figures(0.5)
    for name in (
        *figures,
        *POLICIES,
        "at",
        "work_milliseconds",
        "utilization_percent",
        "hold_seconds",
        "turns",
    ):
        assert f"`{name}`" in section, name
