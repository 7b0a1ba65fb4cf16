"""How many replicas hold an objective: Erlang-C waiting, scaled for variability, behind a given routing.

Columnar: every argument is an array over services (length 1 is one service), every result too, unless it says otherwise.

Sources. Waiting: Erlang C, with the Allen-Cunneen factor (ca² + cs²) / 2 on the mean wait, exponential in
its tail: P(W > x) = C · exp(-x (n - a) / (S k)). A request that takes s itself is late when it waits for
longer than threshold - s; the sum over the distribution of s is the late fraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PRIOR_VARIABILITY: Final = 0.25
"""Squared coefficient of variation of the service time, until measured."""
ARRIVAL_VARIABILITY: Final = 1.0
"""Squared coefficient of variation of the times between arrivals: Poisson."""
ROUTING_EFFICIENCY: Final = 0.90
"""Rate that several replicas carry, relative to a pooled queue: between least-request with a full scan
(0.96 at two replicas, 0.99 at ten) and two random choices or round robin (0.87)."""
BUDGET_SHARE: Final = 0.6
"""Part of the allowed late requests that sizing spends; the rest is for forecasts and starts gone wrong."""
WAIT_SHARE: Final = 0.1
"""Of the threshold: what a request may wait where the service time alone breaks the objective."""
REPLICAS_LIMIT: Final = 2000
ROWS_REMEMBERED: Final = 100_000
"""Answers of the model that are kept, each way: some 30 MiB."""

_EDGES = np.concatenate(
    [np.linspace(0, 0.9, 19), np.linspace(0.9, 0.99, 10)[1:], np.linspace(0.99, 0.999, 10)[1:], [1.0]]
)
_WEIGHTS = np.diff(_EDGES)
_SMALLEST: dict[tuple[float, ...], float] = {}
_LARGEST: dict[tuple[float, ...], float] = {}
_NORMAL = NormalDist()
_DEVIATES = np.array([_NORMAL.inv_cdf(float(p)) for p in (_EDGES[1:] + _EDGES[:-1]) / 2])


@dataclass(frozen=True)
class Demand:
    """What is asked of replicas of one kind: arrays over services."""

    service_seconds: Floats
    """Mean time of work per request."""
    variability: Floats
    """Squared coefficient of variation of that time."""
    threshold_seconds: Floats
    """A request that takes longer is late."""
    late_allowed: Floats
    """Allowed late fraction, the objective's complement."""

    @property
    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        """All of them, in this order."""
        return self.service_seconds, self.variability, self.threshold_seconds, self.late_allowed

    def repeated(self, times: int) -> Demand:
        """The same services `times` over, one block after the other."""
        return Demand(*(np.tile(column, times) for column in self.columns))

    def of(self, rows: Ints) -> Demand:
        """Some of the services."""
        return Demand(*(column[rows] for column in self.columns))


def service_time_tail(seconds: float, mean_seconds: float, variability: float) -> float:
    """Fraction of one service's requests whose work alone takes longer than `seconds`: log-normal of that mean and cv²."""
    spread = math.sqrt(math.log1p(max(variability, 1e-9)))
    standard = (math.log(max(seconds, 1e-12) / mean_seconds) + spread**2 / 2) / spread
    return 1 - _NORMAL.cdf(standard)


def floor_late(demand: Demand) -> Floats:
    """Late fraction with any number of replicas: the work alone takes longer than the threshold."""
    too_long = _work(demand) >= demand.threshold_seconds[:, None]
    return np.asarray(too_long.astype(np.float64) @ _WEIGHTS)


def late_fraction(replicas: Ints, rate: Floats, demand: Demand) -> Floats:
    """Expected late fraction of `rate` requests per second on `replicas`; 1 where they cannot keep up."""
    waiting = _erlang_c(replicas, _effective(rate, replicas) * demand.service_seconds)
    return _late(waiting, replicas, rate, demand, _bounds(demand)[0])


def smallest_replicas(rate: Floats, demand: Demand, limit: int = REPLICAS_LIMIT) -> Ints:
    """Fewest replicas whose late fraction fits, at least 1; `limit` where even that many do not.

    Where the work alone breaks the objective, requests may wait for a tenth of the threshold instead.
    """
    return _remembered(
        _SMALLEST,
        (rate, *demand.columns),
        lambda rows: _smallest_replicas(rate[rows], demand.of(rows), limit),
        limit,
    ).astype(np.int64)


def _smallest_replicas(rate: Floats, demand: Demand, limit: int) -> Ints:
    found = np.full(rate.shape, limit, dtype=np.int64)
    found[rate <= 0] = 1
    slack, allowed = _bounds(demand)
    load = _effective(rate, np.full(rate.shape, 2)) * demand.service_seconds
    single = rate * demand.service_seconds
    blocking = np.ones(rate.shape)  # Erlang B of 0 servers at `load`
    sought = np.flatnonzero(rate > 0)
    for n in range(1, limit):
        if not len(sought):
            break
        offered = single if n == 1 else load
        blocking = load * blocking / (n + load * blocking)
        own = single / (1 + single) if n == 1 else blocking
        able = sought[offered[sought] < n]  # the others are late whatever else holds
        replicas = np.full(able.shape, n, dtype=np.int64)
        waiting = _wait_probability(own[able], offered[able], replicas)
        late = _late(waiting, replicas, rate[able], demand.of(able), slack[able])
        found[able[late <= allowed[able]]] = n
        sought = sought[found[sought] == limit]
    return found


def largest_rate(replicas: Ints, demand: Demand) -> Floats:
    """Most requests per second that `replicas` hold within the objective; 0 without replicas."""
    return _remembered(
        _LARGEST, (replicas, *demand.columns), lambda rows: _largest_rate(replicas[rows], demand.of(rows))
    )


def _largest_rate(replicas: Ints, demand: Demand) -> Floats:
    slack, allowed = _bounds(demand)
    counted = np.maximum(replicas, 1)
    low = np.zeros(replicas.shape)
    high = counted / demand.service_seconds  # saturation: low holds, high does not
    for _ in range(20):
        middle = (low + high) / 2
        waiting = _erlang_c(counted, _effective(middle, counted) * demand.service_seconds)
        holds = _late(waiting, counted, middle, demand, slack) <= allowed
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return np.where(replicas < 1, 0.0, low)


def carried_percent(replicas: Ints, carried_rate: Floats, total_rate: Floats) -> Ints:
    """Whole percent of `total_rate` that `carried_rate` is, at most 100; without demand any replica carries it."""
    percent = np.floor(100 * carried_rate / np.maximum(total_rate, 1e-12) + 1e-6)
    known = np.where(total_rate > 0, np.minimum(percent, 100), 100)
    return np.where(replicas < 1, 0, known).astype(np.int64)


def sojourn_from_service_time(
    service_seconds: Floats, rate: Floats, replicas: Ints, variability: Floats
) -> Floats:
    """Mean time that includes waiting; infinite where `replicas` (at least 1) cannot keep up with `rate`."""
    load = rate * service_seconds
    spare = np.maximum(replicas - load, 0)
    factor = (ARRIVAL_VARIABILITY + variability) / 2
    wait = _erlang_c(replicas, load) * service_seconds * factor / np.maximum(spare, 1e-300)
    return np.where(spare > 0, service_seconds + wait, np.inf)


def service_time_from_sojourn(sojourn: Floats, rate: Floats, replicas: Ints, variability: Floats) -> Floats:
    """Mean work behind a mean time that includes waiting: the S with S + wait(S) = `sojourn` at `rate`.

    Where replicas are saturated this tends to replicas / rate, which is then what a request occupies.
    """
    low = np.zeros(sojourn.shape)
    high = sojourn.copy()
    counted = np.maximum(replicas, 1)
    for _ in range(30):
        middle = (low + high) / 2
        fits = sojourn_from_service_time(middle, rate, counted, variability) <= sojourn
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def _remembered(
    memory: dict[tuple[float, ...], float],
    columns: Sequence[Floats | Ints],
    compute: Callable[[Ints], Floats | Ints],
    *more: float,
) -> Floats:
    """What is computed of each row of the columns, and only of rows that were not met lately.

    Rates and times of work move in bands: from tick to tick nearly all rows are those of the tick before.
    """
    rows = [(*row, *more) for row in zip(*(column.tolist() for column in columns), strict=True)]
    new = [place for place, row in enumerate(rows) if row not in memory]
    if len(memory) + len(new) > ROWS_REMEMBERED:
        memory.clear()
        new = list(range(len(rows)))
    if new:
        found = compute(np.array(new, dtype=np.int64)).tolist()
        memory.update(zip((rows[place] for place in new), found, strict=True))
    return np.array([memory[row] for row in rows], dtype=np.float64)


def _bounds(demand: Demand) -> tuple[Floats, Floats]:
    """Seconds that a request may wait, per service and kind of request, at most 0 where it is late anyway.

    And the late fraction that sizing may spend.
    """
    work, threshold, allowed = _work(demand), demand.threshold_seconds[:, None], demand.late_allowed
    floor = np.asarray((work >= threshold).astype(np.float64) @ _WEIGHTS)
    infeasible = floor >= allowed
    slack = np.where(infeasible[:, None], WAIT_SHARE * threshold, threshold - work)
    return slack, np.where(infeasible, allowed, floor + (allowed - floor) * BUDGET_SHARE)


def _work(demand: Demand) -> Floats:
    """Seconds of work, per service and kind of request: log-normal, in the weights' steps."""
    spread = np.sqrt(np.log1p(np.maximum(demand.variability, 1e-9)))[:, None]
    shape = np.exp(spread * _DEVIATES[None, :])
    return np.asarray(demand.service_seconds[:, None] * shape / (shape @ _WEIGHTS)[:, None])


def _late(waiting: Floats, replicas: Ints, rate: Floats, demand: Demand, slack: Floats) -> Floats:
    load = _effective(rate, replicas) * demand.service_seconds
    factor = (ARRIVAL_VARIABILITY + demand.variability) / 2
    drain = np.maximum(replicas - load, 0) / (demand.service_seconds * factor)
    tail = waiting[:, None] * np.exp(-drain[:, None] * np.maximum(slack, 0))
    late = np.where(slack > 0, np.minimum(tail, 1), 1.0) @ _WEIGHTS
    return np.asarray(np.where(load >= replicas, 1.0, late))


def _effective(rate: Floats, replicas: Ints) -> Floats:
    return np.where(replicas > 1, rate / ROUTING_EFFICIENCY, rate)


def _wait_probability(blocking: Floats, load: Floats, replicas: Ints) -> Floats:
    """Erlang C from Erlang B; 1 at or above saturation."""
    spare = np.maximum(replicas - load, 0)
    return np.where(spare > 0, replicas * blocking / np.maximum(spare + load * blocking, 1e-300), 1.0)


def _erlang_c(replicas: Ints, load: Floats) -> Floats:
    blocking = np.ones(load.shape)
    for n in range(1, int(replicas.max(initial=0)) + 1):
        blocking = np.where(n <= replicas, load * blocking / (n + load * blocking), blocking)
    return _wait_probability(blocking, load, replicas)
