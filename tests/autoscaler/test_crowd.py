"""When requests come faster than they leave, told from how many are in flight."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from autoscaler.crowd import Crowd, crowd_after

WINDOW = 60.0


def seen(
    in_flight: Callable[[float], float | None],
    ready: Callable[[float], int] = lambda _: 10,
    given_up: float = 0.0,
    answered: float = 20.0,
    seconds: int = 3600,
) -> tuple[Crowd | None, list[float]]:
    """The crowd in the end, and the times at which it outran ten replicas, looked at every five seconds."""
    crowd, outrun = None, []
    for at in range(0, seconds, 5):
        crowd = crowd_after(crowd, at, ready(at), in_flight(at), given_up, answered, 0.5, WINDOW)
        if crowd is not None and at <= crowd.outruns_until:
            outrun.append(float(at))
    return crowd, outrun


@pytest.mark.parametrize(
    ("in_flight", "first", "last", "why"),
    [
        (lambda at: 15.0, None, None, "hardly any waits"),
        (lambda at: None, None, None, "nothing tells"),
        (lambda at: 200.0, None, None, "they work on many at once, and always have"),
        (lambda at: 200 + 20 * math.sin(at), None, None, "and by chance on a few more"),
        (lambda at: 30 + 170 * min(at / 60, 1), None, None, "a step rises in the average for a window"),
        (lambda at: max(4000 - 3 * at, 21), None, None, "what waited for fewer replicas becomes less"),
        (lambda at: 25 + 6 * at, 70, 3595, "more come than leave"),
        (lambda at: 25 + 0.5 * at, 360, 3595, "a few more, too, which takes longer to show"),
        (lambda at: 25 + 0.1 * at, None, None, "so few that it is no more than chance"),
        (lambda at: 25 + 6 * min(at, 300.0), 70, 600, "not any more: it is shown again, or ends"),
    ],
)
def test_what_outruns(
    in_flight: Callable[[float], float | None], first: float | None, last: float | None, why: str
) -> None:
    """Clearly more in flight, with the same replicas, after a window of both."""
    _, outrun = seen(in_flight)
    assert outrun[:1] == ([] if first is None else [pytest.approx(first, abs=30)]), why
    assert last is None or outrun[-1] <= last, why


def test_what_is_given_up_would_be_more_in_flight() -> None:
    """A gateway that waits no longer than a minute keeps as many in flight, however few are answered."""
    assert seen(lambda at: 1000.0, given_up=6.0)[1]
    assert not seen(lambda at: 1000.0, given_up=0.2)[1], "of twenty that are answered"


def test_other_replicas_are_another_crowd() -> None:
    """What they answer is compared from then on; the work known before any request waited stays known."""
    crowd, outrun = seen(lambda at: 25 + 6 * at, lambda at: 10 + int(at // 55))
    assert not outrun
    assert crowd is not None
    assert crowd.calm_seconds == 0.5
