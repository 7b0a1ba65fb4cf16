"""Demand that comes by the clock."""

from __future__ import annotations

from collections.abc import Callable

from autoscaler.seasons import DAY, HOUR, Season

TICK = 15.0
CALM = 10.0


def lived(season: Season, hours: float, rate: Callable[[float], float], since: float = 0.0) -> Season:
    """The season after so many hours in which nothing but the calm was forecast."""
    for index in range(int(hours * 3600 / TICK)):
        now = since + index * TICK
        season = season.with_rate(now, rate(now), CALM)
    return season


def at_the_hour(now: float) -> float:
    """Five times the usual for a minute."""
    return 5 * CALM if now % 3600 < 60 else CALM


def test_what_comes_every_hour_is_foretold() -> None:
    """Before it comes, as far ahead as is asked, and not longer than it lasts."""
    season = lived(HOUR, 5, at_the_hour)
    now = 5 * 3600.0

    assert season.believed
    assert season.ahead(now - 300, 65) == 0
    assert season.ahead(now - 300, 305) == 5 * CALM
    assert season.ahead(now - 60, 65) == 5 * CALM
    assert season.ahead(now + 75, 65) == 0
    assert season.said(now + 30) == 5 * CALM


def test_one_round_is_not_believed() -> None:
    """What came once may be chance; whether it comes again is to be seen first."""
    season = lived(HOUR, 0.9, at_the_hour)

    assert season.said(3600.0) == 5 * CALM
    assert season.ahead(3600.0, 65) == 0


def test_nothing_is_said_of_times_that_were_not_seen() -> None:
    """No knowledge is not the knowledge that nothing comes."""
    season = lived(DAY, 5, at_the_hour)

    assert season.said(4 * 3600.0) == 5 * CALM
    assert season.said(4.5 * 3600.0) == 0
    assert season.said(20 * 3600.0) is None


def test_what_comes_by_chance_is_not_believed() -> None:
    """A burst in each hour at another minute is foretold for the next hour, and never comes."""
    season = lived(
        HOUR,
        24,
        lambda now: (
            5 * CALM if 60 * (now // 3600 * 7 % 60) <= now % 3600 < 60 * (now // 3600 * 7 % 60) + 60 else CALM
        ),
    )

    assert season.foretold > 0
    assert not season.believed


def test_a_job_that_has_ended_is_foretold_once_more() -> None:
    """The height is remembered for long, that it comes only for a round."""
    season = lived(HOUR, 8, at_the_hour)
    season = lived(season, 2, lambda now: CALM, since=8 * 3600.0)

    assert season.ahead(10 * 3600.0, 65) == 0


def test_heights_that_vary_are_foretold_as_high_as_lately() -> None:
    """Every other spike is twice as high: the next one may be."""
    season = lived(HOUR, 10, lambda now: 10 * CALM if now % 7200 < 60 else at_the_hour(now))

    assert season.ahead(10 * 3600.0, 65) >= 0.9 * 10 * CALM
