"""Whether more replicas do more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autoscaler.contention import BELIEVED_SECONDS, Contention

WINDOW = 60.0


def after(
    ready: Callable[[float], int],
    work: Callable[[float], float],
    until: float = 900.0,
    rate: float = 10.0,
    variability: float = 0.25,
) -> Contention:
    """Ticks of five seconds."""
    found = Contention()
    for step in range(int(until / 5)):
        now = 5.0 * step
        found = found.with_work(
            now, 5.0, ready(now), work(now), 0.0, rate * WINDOW, variability, WINDOW, rate
        )
    return found


def growing(at: float) -> int:
    """Eight, and from the sixth minute on one more every quarter of a minute, up to twenty."""
    return min(8 + max(int((at - 300) / 15), 0), 20)


@pytest.mark.parametrize(
    ("ready", "work", "most", "why"),
    [
        (
            lambda _: 8,
            lambda at: 0.5 if at < 300 else 2.0,
            None,
            "longer work alone says nothing of replicas",
        ),
        (growing, lambda _: 0.5, None, "each works as before"),
        (growing, lambda at: 0.5 if at < 240 else 1.0, None, "the work was longer before the replicas came"),
        (growing, lambda at: 0.5 * growing(at) / 8, 12, "all together do no more"),
        (growing, lambda at: 0.5 * (growing(at) / 8) ** 0.3, None, "a little slower each, and more together"),
        (
            lambda at: max(20 - int(at / 60), 5),
            lambda at: 4 / max(20 - int(at / 60), 5),
            None,
            "fewer tell nothing",
        ),
    ],
)
def test_contention(
    ready: Callable[[float], int], work: Callable[[float], float], most: int | None, why: str
) -> None:
    """Half as many more than did as much, where more are in vain."""
    assert after(ready, work).most(10.0) == most, why


def test_few_requests_prove_nothing() -> None:
    """Means of a handful of requests differ by chance."""
    assert after(growing, lambda at: 0.5 * growing(at) / 8, rate=0.2, variability=1.0).most(10.0) is None


def test_small_services_may_have_two_more() -> None:
    """Half of one is none."""
    assert (
        after(lambda at: min(1 + int(at / 330), 3), lambda at: 0.5 * min(1 + int(at / 330), 3)).most(10.0)
        == 3
    )


def test_it_ends_with_its_cause_or_with_time() -> None:
    """Work as short as before; else it is tried again after half an hour."""
    found = after(growing, lambda at: 0.5 * growing(at) / 8)
    assert found.most(10.0) == 12
    assert found.with_work(905.0, 5.0, 20, 0.5, 0.5, 600.0, 0.25, WINDOW, 10.0).most(10.0) is None
    assert found.with_work(905.0, 5.0, 20, 0.5, 1.2, 600.0, 0.25, WINDOW, 10.0).most(10.0) == 12, (
        "it is reckoned with the longer one yet"
    )
    assert found.with_work(905.0, 5.0, 20, 1.2, 0.5, 600.0, 0.25, WINDOW, 10.0).most(10.0) == 12
    later = 905.0 + BELIEVED_SECONDS
    assert found.with_work(later, 5.0, 20, 1.2, 1.2, 600.0, 0.25, WINDOW, 10.0).most(10.0) is None


def test_a_passing_slowness_after_a_rise_is_let_go_of() -> None:
    """A third longer for a minute and a half after the fourth replica came, by cold caches: then as before."""

    def work(at: float) -> float:
        return 0.026 if 320 <= at < 410 else 0.02

    def ready(at: float) -> int:
        return 3 if at < 300 else 4

    assert after(ready, work, until=405, rate=100.0).most(100.0) == 5
    assert after(ready, work, until=450, rate=100.0).most(100.0) is None


def test_more_demand_may_have_more_replicas() -> None:
    """In proportion to what was asked for when they were in vain; noise and less demand move nothing."""
    found = after(growing, lambda at: 0.5 * growing(at) / 8)

    assert [found.most(demand) for demand in (0.0, 5.0, 10.0, 12.0, 20.0)] == [12, 12, 12, 12, 24]
