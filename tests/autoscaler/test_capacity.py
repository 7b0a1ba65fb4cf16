"""How many replicas hold an objective."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler import capacity
from autoscaler.capacity import (
    Demand,
    carried_percent,
    floor_late,
    largest_rate,
    late_fraction,
    service_time_from_sojourn,
    smallest_replicas,
)


def one(value: float) -> capacity.Floats:
    return np.array([float(value)])


def demand(
    service: float = 0.1, variability: float = 0.25, threshold: float = 0.5, late: float = 0.01
) -> Demand:
    return Demand(one(service), one(variability), one(threshold), one(late))


@pytest.mark.parametrize(
    ("replicas", "simulated"), [(1, 4.34), (2, 13.7), (3, 23.4), (4, 33.2), (6, 52.9), (10, 92.8)]
)
def test_pooled_capacity_agrees_with_simulation(
    replicas: int, simulated: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without losses to routing the rate at 1% late is the simulated one within 2%, 8% for a single replica."""
    monkeypatch.setattr(capacity, "ROUTING_EFFICIENCY", 1.0)
    rates = np.linspace(0, replicas * 10, 4001)
    many = Demand(*(np.full(len(rates), value) for value in (0.1, 0.25, 0.5, 0.01)))
    late = late_fraction(np.full(len(rates), replicas), rates, many)
    found = rates[np.flatnonzero(late <= 0.01)[-1]]
    assert found == pytest.approx(simulated, rel=0.08 if replicas == 1 else 0.02)


@pytest.mark.parametrize(("replicas", "safe"), [(2, 0.65), (10, 0.91)])
def test_sizing_stays_below_what_least_request_carries(replicas: int, safe: float) -> None:
    """Sizing is on the safe side of least-request routing, and not by more than a third of it."""
    utilization = largest_rate(np.array([replicas]), demand())[0] * 0.1 / replicas
    assert safe * 0.67 < utilization < safe


rates = st.floats(0.0, 200.0)
services = st.floats(0.005, 0.4)


@given(rates, rates, services)
def test_more_load_never_takes_fewer_replicas(first: float, second: float, service: float) -> None:
    """The smallest number of replicas is monotone in the rate."""
    low, high = sorted((first, second))
    few, many = (int(smallest_replicas(one(rate), demand(service))[0]) for rate in (low, high))
    assert few <= many


@given(rates, services)
def test_smallest_fits_and_one_fewer_does_not(rate: float, service: float) -> None:
    """The number found holds the budget, and is the first that does."""
    asked = demand(service)
    found = int(smallest_replicas(one(rate), asked)[0])
    held = [float(largest_rate(np.array([n]), asked)[0]) for n in (found - 1, found)]
    assert held[0] < rate or found == 1
    assert rate <= held[1] * (1 + 1e-4)


@given(rates, services)
def test_twice_the_load_takes_at_most_twice_the_replicas(rate: float, service: float) -> None:
    """Larger services use their replicas better, never worse; one replica needs no routing, so two may take three."""
    single, double = (int(smallest_replicas(one(r), demand(service))[0]) for r in (rate, 2 * rate))
    assert double <= 2 * single + 1


@given(st.lists(st.tuples(rates, services), min_size=1, max_size=8))
def test_columns_do_not_see_each_other(services_seen: list[tuple[float, float]]) -> None:
    """Many services at once get the same answers as each alone."""
    rate = np.array([r for r, _ in services_seen])
    size = len(services_seen)
    together = Demand(
        np.array([s for _, s in services_seen]), np.full(size, 0.25), np.full(size, 0.5), np.full(size, 0.01)
    )
    alone = [int(smallest_replicas(one(r), demand(s))[0]) for r, s in services_seen]
    assert smallest_replicas(rate, together).tolist() == alone


def test_no_demand_takes_one_replica() -> None:
    """Zero requests are served by one replica."""
    assert smallest_replicas(one(0), demand()).tolist() == [1]


def test_work_longer_than_the_threshold_is_infeasible_and_still_sized() -> None:
    """An objective below the work itself is sized for short waits instead of growing without end."""
    asked = demand(service=0.4, threshold=0.3)
    assert floor_late(asked)[0] > 0.5
    assert 8 <= smallest_replicas(one(20), asked)[0] <= 20


@pytest.mark.parametrize(
    ("ready", "carried", "total", "percent", "why"),
    [
        (0, 0.0, 10.0, 0, "nothing is carried by nobody"),
        (0, 0.0, 0.0, 0, "no replica carries even no demand"),
        (1, 8.0, 0.0, 100, "any replica carries no demand"),
        (1, 8.0, 80.0, 10, "a tenth"),
        (2, 20.0, 10.0, 100, "never above all of it"),
        (1, 7.99, 80.0, 9, "rounded down: what is promised holds"),
    ],
)
def test_carried_percent(ready: int, carried: float, total: float, percent: int, why: str) -> None:
    """The share of the demand that ready replicas hold."""
    assert carried_percent(np.array([ready]), one(carried), one(total)).tolist() == [percent], why


@given(st.floats(0.01, 0.3), st.integers(1, 10), st.floats(0.05, 0.9))
def test_service_time_is_recovered_from_sojourn(service: float, replicas: int, busy: float) -> None:
    """The work behind a mean with waiting is found again."""
    rate = busy * replicas / service
    load = one(rate * service)
    wait_probability = capacity._erlang_c(np.array([replicas]), load)
    sojourn = service * (1 + wait_probability[0] * 0.625 / (replicas - load[0]))
    found = service_time_from_sojourn(one(sojourn), one(rate), np.array([replicas]), one(0.25))
    assert found[0] == pytest.approx(service, rel=1e-3)


def test_what_was_sized_before_is_sized_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, among others, and again after everything was forgotten."""
    rates = np.linspace(0.0, 30.0, 40)
    count = np.arange(40)
    asked = Demand(0.02 + count / 200, np.full(40, 0.25), 0.1 + count / 100, np.full(40, 0.01))

    def sized(rows: list[int]) -> list[tuple[int, float]]:
        some = np.array(rows)
        smallest = smallest_replicas(rates[some], asked.of(some))
        return list(zip(smallest.tolist(), largest_rate(smallest, asked.of(some)).tolist(), strict=True))

    together = sized(list(range(40)))
    again = [sized([row])[0] for row in range(40)]
    monkeypatch.setattr(capacity, "ROWS_REMEMBERED", 30)
    forgetting = sized(list(range(40)))
    assert again == together
    assert [found for found, _ in forgetting] == [found for found, _ in together]
    assert [rate for _, rate in forgetting] == pytest.approx([rate for _, rate in together], rel=1e-5)
