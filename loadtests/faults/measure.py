"""What a run shows of a fault, beside the same run without it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LATE_MINUTE = 0.05
"""Of the requests of a minute: more that are late, and clients would say that something is wrong."""
ALIKE_REPLICAS, ALIKE_SHARE = 1, 0.15
"""Replicas that differ by so many, or by this share, are taken for the same."""
STEADY_SECONDS = 300.0
HELD_SECONDS = 600.0
SOONER_SECONDS = 60.0
"""So much earlier than the other run one answers to the same requests that it was sampled at other moments."""


@dataclass(frozen=True)
class Moment:
    """All revisions together; requests and late ones are counted from the beginning."""

    at: float
    wanted: int
    offered: int
    late: int


@dataclass(frozen=True)
class Figures:
    """Replicas are what is wanted; times in seconds; late are fractions of the requests offered."""

    before: int
    lowest: int
    """While the fault lasts."""
    highest: int
    """From its beginning to the end of the run, and so the next ones."""
    after: int
    excess: float
    """Highest number over the highest that there was in the run without it, from ten minutes before to a minute after; 1 at least."""
    turns: int
    """How often replicas rose after they had fallen, or fell after they had risen, by more than one."""
    late: float
    late_until: float
    """From the fault's end to the end of the last minute with more than 5% late; not above 0 if there is none after it."""
    settled_after: float | None
    """From its end until replicas are what they would be without the fault, for five minutes; None if they never are."""


def figures(run: Sequence[Moment], without: Sequence[Moment], begin: float, end: float) -> Figures:
    """The figures of a run, by the one without a fault, whose moments are at the same times."""
    before = [moment for moment in run if moment.at <= begin]
    during = [moment for moment in run if begin <= moment.at <= end]
    since = [moment for moment in run if moment.at >= begin]
    wanted = [moment.wanted for moment in since]
    offered = since[-1].offered - before[-1].offered
    return Figures(
        before=before[-1].wanted,
        lowest=min(moment.wanted for moment in during),
        highest=max(wanted),
        after=wanted[-1],
        excess=excess(run, without, begin),
        turns=turns(wanted),
        late=(since[-1].late - before[-1].late) / max(offered, 1),
        late_until=max((until - end for until in late_minutes(since)), default=0.0),
        settled_after=settled(run, without, end),
    )


def excess(run: Sequence[Moment], without: Sequence[Moment], begin: float) -> float:
    """The largest ratio of replicas to those of the other run, which a forecast or a hold may have shifted a little."""
    most = 1.0
    for moment in run:
        if moment.at >= begin:
            since, until = moment.at - HELD_SECONDS, moment.at + SOONER_SECONDS
            beside = max(other.wanted for other in without if since <= other.at <= until)
            most = max(most, moment.wanted / beside)
    return most


def turns(wanted: Sequence[int]) -> int:
    """Changes of direction by more than a replica: how often it went up after it had gone down, or down after up."""
    found, direction, low, high = 0, 0, wanted[0], wanted[0]
    for now in wanted:
        low, high = min(low, now), max(high, now)
        if direction != -1 and now < high - ALIKE_REPLICAS:
            found += direction == 1
            direction, low = -1, now
        elif direction != 1 and now > low + ALIKE_REPLICAS:
            found += direction == -1
            direction, high = 1, now
        if direction == 1:
            low = high
        elif direction == -1:
            high = low
    return found


def late_minutes(moments: Sequence[Moment]) -> list[float]:
    """Ends of the minutes in which more than the bearable share was late."""
    found = []
    first = moments[0]
    for moment in moments:
        if moment.at - first.at >= 60:
            if moment.late - first.late > LATE_MINUTE * max(moment.offered - first.offered, 1):
                found.append(moment.at)
            first = moment
    return found


def settled(run: Sequence[Moment], without: Sequence[Moment], end: float) -> float | None:
    """Seconds after which replicas are those of the other run and stay so for a while."""
    since: float | None = None
    for moment, other in zip(run, without, strict=True):
        if moment.at < end:
            continue
        if abs(moment.wanted - other.wanted) > max(ALIKE_REPLICAS, ALIKE_SHARE * other.wanted):
            since = None
        elif since is None:
            since = moment.at
        if since is not None and moment.at - since >= STEADY_SECONDS:
            return since - end
    return None
