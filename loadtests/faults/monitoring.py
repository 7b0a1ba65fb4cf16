"""A Prometheus that fails as real ones do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autoscaler.signals.views import AnswerLike, Failure
from loadtests.simulator.evaluate import Answer
from loadtests.simulator.prometheus import Prometheus
from loadtests.simulator.requests import Ints
from loadtests.simulator.scrapes import Values
from loadtests.simulator.store import Targets

UNREACHABLE = Failure("Unreachable", "connection refused")
GAUGES = ("up", "envoy_cluster_upstream_rq_active")
Chosen = Callable[[int, Ints], NDArray[np.bool_]]
"""By kind of targets and their rows: which of them."""


@dataclass
class Accrued:
    """A part of what counters count while `share` is not 0; what has accrued stays."""

    size: int
    share: float = 0.0

    def __post_init__(self) -> None:
        self._seen = np.full(self.size, np.nan)
        self._sum = np.zeros(self.size)

    def of(self, rows: Ints, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The part, by these rows' counters now; a counter that is below what it was has begun anew."""
        seen = self._seen[rows]
        fresh = np.isnan(seen) | (values < seen)
        self._sum[rows] = np.where(fresh, 0.0, self._sum[rows])
        self._sum[rows] += self.share * np.where(fresh, np.where(np.isnan(seen), 0.0, values), values - seen)
        self._seen[rows] = values
        part: NDArray[np.float64] = np.floor(self._sum[rows])
        return part


@dataclass
class FaultyPrometheus(Prometheus):
    """One Prometheus; or two behind one address, each with gaps of its own."""

    failure: Failure | None = None
    """What every question is answered with."""
    not_finite: bool = False
    """Whether no value is a number."""
    scraped: Chosen | None = None
    """Which targets are scraped; all unless stated."""
    too_slow: Chosen | None = None
    """Which targets do not answer a scrape in time: of them nothing is known but `up 0`."""
    gap_share: float = 0.0
    """Of its scrapes that each of the two misses."""
    altered: Callable[[int, Ints, Values], Values] | None = None
    """What is exposed, by kind and rows, in place of what is so."""
    _second: Prometheus | None = field(init=False, default=None)
    _random: np.random.Generator = field(init=False)
    _asked: int = field(init=False, default=0)
    _bases: dict[int, dict[str, NDArray[np.float64]]] = field(init=False, default_factory=dict)
    _restarting: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._ups = {kind: len(self.kinds) + at for at, kind in enumerate(_with_up(self.kinds))}
        self.kinds = [*self.kinds, *(_up_alone(self.kinds[kind]) for kind in self._ups)]
        super().__post_init__()
        self._random = np.random.default_rng(1)

    def in_two(self, gap_share: float) -> None:
        """From now on there are two with the same past, of which each misses this share of its scrapes."""
        self.gap_share = gap_share
        self._second = Prometheus(deepcopy(list(self.kinds)))

    def in_one(self) -> None:
        """The second is gone, and the first misses nothing any more."""
        self.gap_share, self._second = 0.0, None

    def restart(self, kind: int) -> None:
        """The targets of a kind begin to count anew, with what happens after their next scrape."""
        self._restarting.add(kind)

    def scrape(self, kind: int, rows: Ints, now: float, values: Values) -> None:
        """Add what is exposed of those that are scraped, wherever there is no gap."""
        if self.altered is not None:
            values = self.altered(kind, rows, values)
        values = self._counted_anew(kind, rows, values)
        values = {metric: held for metric, held in values.items() if metric in self.kinds[kind].each}
        if self.scraped is not None:
            chosen = self.scraped(kind, rows)
            each = self.kinds[kind].each
            values = {metric: held[np.repeat(chosen, each[metric])] for metric, held in values.items()}
            rows = rows[chosen]
        if not len(rows):
            return
        if self._second is None or self._random.random() >= self.gap_share:
            self._add(self, kind, rows, now, values)
        if self._second is not None and self._random.random() >= self.gap_share:
            self._add(self._second, kind, rows, now, values)

    def clear(self, kind: int, rows: Ints) -> None:
        """Forget what these targets were, in both."""
        for each in {kind, self._ups.get(kind, kind)}:
            super().clear(each, rows)
            if self._second is not None:
                self._second.clear(each, rows)

    def end(self, kind: int, rows: Ints) -> None:
        """These targets are gone, for both."""
        for each in {kind, self._ups.get(kind, kind)}:
            super().end(each, rows)
            if self._second is not None:
                self._second.end(each, rows)

    def answer(self, question: str, now: float) -> AnswerLike | Failure:
        """What is answered: of two, each answers every other question."""
        if self.failure is not None:
            return self.failure
        self._asked += 1
        source = self._second if self._second is not None and self._asked % 2 else None
        found = super().answer(question, now) if source is None else source.answer(question, now)
        if self.not_finite and not isinstance(found, Failure):
            return Answer((), len(found.samples), [sample.labels for sample in found.samples])
        return found

    def _add(self, to: Prometheus, kind: int, rows: Ints, now: float, values: Values) -> None:
        """Add to one of the two. A failed scrape leaves `up 0`, and ends the target's other series until the next one."""
        if kind not in self._ups:
            Prometheus.scrape(to, kind, rows, now, values)
            return
        failed = np.zeros(len(rows), dtype=np.bool_) if self.too_slow is None else self.too_slow(kind, rows)
        Prometheus.scrape(to, self._ups[kind], rows, now, {"up": np.where(failed, 0.0, 1.0)})
        each = self.kinds[kind].each
        answered = {metric: held[np.repeat(~failed, each[metric])] for metric, held in values.items()}
        Prometheus.scrape(to, kind, rows[~failed], now, answered)
        Prometheus.end(to, kind, rows[failed])

    def _counted_anew(self, kind: int, rows: Ints, values: Values) -> Values:
        each = self.kinds[kind].each
        places = {
            metric: (rows[:, None] * each[metric] + np.arange(each[metric])).ravel()
            for metric in values
            if metric not in GAUGES
        }
        if kind in self._restarting:
            self._restarting.discard(kind)
            bases = self._bases[kind] = {}
            for metric, at in places.items():
                bases[metric] = np.zeros(len(self.kinds[kind].values[metric]))
                bases[metric][at] = values[metric]
        bases = self._bases.get(kind, {})
        return {
            metric: held - bases[metric][places[metric]] if metric in bases else held
            for metric, held in values.items()
        }


def _with_up(kinds: Sequence[Targets]) -> list[int]:
    return [kind for kind, targets in enumerate(kinds) if "up" in targets.labels]


def _up_alone(targets: Targets) -> Targets:
    """Take `up` out of what these targets expose: Prometheus makes it, whether they answer or not."""
    labels = targets.labels.pop("up")
    del targets.each["up"], targets.values["up"]
    return Targets({"up": labels}, targets.slots, targets.depth)
