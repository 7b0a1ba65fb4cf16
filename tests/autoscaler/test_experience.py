"""What is stood by for is weighed when there is something to weigh."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.experience import FADING_SECONDS, experienced
from autoscaler.forecast import Band, RateHistory
from autoscaler.state import TargetState
from autoscaler.targets import Target, targets_of
from tests.autoscaler.world import EPOCH, Revision, World

HORIZON = 65.0


@pytest.fixture
def target() -> Target:
    """A service that holds 99% within half a second."""
    return targets_of(World(Revision("digits")).objects())[0][0]


def seen(target: Target, state: TargetState, now: float, rate: float) -> TargetState:
    """One tick at a rate, where two requests per second were expected all along."""
    state = replace(state, asked=RateHistory(((now - HORIZON - 5, 2.0),)))
    return experienced(target, state, rate, 60.0, 5.0, HORIZON, now)


def test_a_surprise_counts_at_once(target: Target) -> None:
    """And is weighed again a minute later, when it has faded a little."""
    state = TargetState(first_seen=EPOCH, expected_band=Band(2.0), service_band=Band(0.1))
    calm = seen(target, state, EPOCH, 2.0)
    surprised = calm
    for number in range(1, 200):
        surprised = seen(target, surprised, EPOCH + 5 * number, 50.0)
    last = EPOCH + 5 * 199
    assert calm.stand_by == 0.0
    assert surprised.stand_by > 10.0
    assert surprised.told_at == last
    later = seen(target, surprised, last + FADING_SECONDS - 5, 2.0)
    assert (later.told_at, later.stand_by) == (last, surprised.stand_by)
    assert seen(target, later, last + FADING_SECONDS, 2.0).told_at == last + FADING_SECONDS


@pytest.mark.parametrize("tick_seconds", [5, 15, 40, 60])
def test_rare_ticks_teach_as_much_as_frequent_ones(tick_seconds: int) -> None:
    """At every interval that the loop may have, all of the time after the first start time is learned from."""
    world = World(Revision("digits", service_seconds=0.05), rate=lambda _: 20.0, scrape_seconds=15.0)
    world.run(1800, tick_seconds=tick_seconds)
    learned = world.state.targets["ia-digits"]

    assert learned.came.seconds == pytest.approx(1800, abs=HORIZON + 2 * 60)
    assert learned.came.requests == pytest.approx(20.0 * learned.came.seconds, rel=0.1)
    assert all(season.slot >= 0 for season in learned.seasons)
