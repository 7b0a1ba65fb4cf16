"""What the last days teach about demand that no trend tells: it came by the clock, or faster than pods start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final

from autoscaler.seasons import Season
from autoscaler.state import TargetState
from autoscaler.surprise import NO_SURPRISES, Surprises, carried, prepared
from autoscaler.targets import Target
from autoscaler.values import changed

HEARD: Final = tuple(product((False, True), repeat=2))
"""Which of the two seasons somebody listens to."""
LEAST_CARRIED: Final = 0.5
"""Busy share up to which the least replicas are never surprised."""
FADING_SECONDS: Final = 60.0
"""How often old surprises are weighed again without a new one: they fade by half in a day."""
LONGEST_TICK_SECONDS: Final = 60.0
"""Of a longer time since the last tick nothing is told: the longest interval that the loop may have."""
SOONER_SECONDS: Final = 30.0
"""What comes by the clock is prepared for so much sooner than a start takes, or by a tick where ticks are rarer."""


def experienced(
    target: Target,
    state: TargetState,
    rate: float,
    counted_seconds: float,
    elapsed: float,
    horizon_seconds: float,
    now: float,
) -> TargetState:
    """Compare what comes with what was expected one start time ago, and look ahead by what that teaches.

    `rate` in requests per second, counted over `counted_seconds`, has been seen for `elapsed` seconds, 0 if blind.
    """
    patience = horizon_seconds + max(SOONER_SECONDS, elapsed)
    # The last tick before the horizon is to be among them, also of a loop that is late with its rare ones.
    kept = horizon_seconds + 2 * LONGEST_TICK_SECONDS
    asked = state.asked.with_rate(now, state.expected_band.value or 0.0, kept)
    before, work = asked.rate_at(now - horizon_seconds), state.service_band.value
    learned: dict[str, Any] = {}
    seasons = state.seasons
    if before is not None and work is not None and elapsed > 0:
        least = LEAST_CARRIED * target.spec.min_replicas / work
        came = state.came.with_requests(rate * elapsed, elapsed)
        surprises = _surprised(state, now, rate, before, least, work, counted_seconds, elapsed)
        seasons = _seasons(state.seasons, now, rate, max(before, least))
        learned = {"came": came, "surprises": surprises, "seasons": seasons}
        told = surprises.get(tuple(season.believed for season in seasons), NO_SURPRISES)
        if told is not state.told or now - state.told_at >= FADING_SECONDS:
            bearable = came.bearable((100 - target.spec.objective.percent) / 100)
            learned |= {
                "stand_by": prepared(told.stand_by(now, bearable), work),
                "told": told,
                "told_at": now,
            }
    seasonal = max(season.ahead(now, patience) for season in seasons)
    # All at once: a replacement of so many fields is what a tick of a target costs most.
    return changed(state, asked=asked, seasonal=seasonal, **learned)


def _surprised(
    state: TargetState,
    now: float,
    rate: float,
    before: float,
    least: float,
    work: float,
    counted_seconds: float,
    elapsed: float,
) -> Mapping[tuple[bool, ...], Surprises]:
    """Note who would have been surprised, by the seasons that they listen to.

    What a season had no way to know says nothing of who listens to it.
    """
    told = [season.said(now) for season in state.seasons]
    found = dict(state.surprises)
    for heard in HEARD:
        heard_of = [said for said, is_heard in zip(told, heard, strict=True) if is_heard]
        known = [said for said in heard_of if said is not None]
        if len(known) == len(heard_of):
            most = max(carried(max([before, *known]), work), least)
            was = found.get(heard, NO_SURPRISES)
            found[heard] = was.with_rate(now, rate, most, counted_seconds, elapsed)
    return found


def _seasons(seasons: Sequence[Season], now: float, rate: float, otherwise: float) -> tuple[Season, ...]:
    """Let each season learn what is new to those before it."""
    found = []
    for season in seasons:
        found.append(season.with_rate(now, rate, otherwise))
        if season.believed:
            otherwise = max(otherwise, season.said(now) or 0.0)
    return tuple(found)
