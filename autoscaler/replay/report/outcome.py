"""What every policy cost and held, summed up over a recording in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from autoscaler.capacity import Floats
from autoscaler.replay.compare import RECORDED, Scaling, Stretch

BINS: Final = 400
"""Points of a plot."""


@dataclass
class Account:
    """One policy on one target."""

    bins: int
    replica_seconds: float = 0.0
    """From when each replica was asked for."""
    requests: float = 0.0
    late: float = 0.0
    """Requests that are late in the model."""
    scalings: int = 0
    most: int = 0
    steps: list[tuple[float, int]] = field(default_factory=list)
    """(time, replicas wanted) where they changed."""
    late_by_bin: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.late_by_bin = np.zeros(self.bins)

    @property
    def late_ratio(self) -> float | None:
        return self.late / self.requests if self.requests else None


@dataclass
class Outcome:
    """One target through a recording."""

    namespace: str
    name: str
    threshold_milliseconds: int
    percent: float
    begin: float
    end: float
    accounts: dict[str, Account] = field(default_factory=dict)
    scalings: list[Scaling] = field(default_factory=list)
    seconds: float = 0.0
    counted_requests: float = 0.0
    """Requests whose lateness was counted when they were recorded."""
    counted_late: float = 0.0
    requests_by_bin: Floats = field(init=False)
    seconds_by_bin: Floats = field(init=False)
    counted_by_bin: Floats = field(init=False)
    counted_late_by_bin: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.requests_by_bin, self.seconds_by_bin = np.zeros(BINS), np.zeros(BINS)
        self.counted_by_bin, self.counted_late_by_bin = np.zeros(BINS), np.zeros(BINS)

    @property
    def counted_late_ratio(self) -> float | None:
        return self.counted_late / self.counted_requests if self.counted_requests else None

    def add(self, stretch: Stretch) -> None:
        """Add an interval."""
        span = stretch.spans[RECORDED]
        place = min(int(BINS * (span.at - self.begin) / max(self.end - self.begin, 1e-9)), BINS - 1)
        requests = span.arrived * span.seconds
        self.seconds += span.seconds
        self.requests_by_bin[place] += requests
        self.seconds_by_bin[place] += span.seconds
        if stretch.counted_late is not None:
            counted = stretch.counted * span.seconds
            self.counted_requests += counted
            self.counted_late += stretch.counted_late * counted
            self.counted_by_bin[place] += counted
            self.counted_late_by_bin[place] += stretch.counted_late * counted
        for policy, of_policy in stretch.spans.items():
            account = self.accounts.setdefault(policy, Account(BINS))
            before, wanted = stretch.before[policy], stretch.wanted[policy]
            account.replica_seconds += before * of_policy.seconds
            account.requests += requests
            account.late += of_policy.late_ratio * requests
            account.late_by_bin[place] += of_policy.late_ratio * requests
            account.most = max(account.most, wanted)
            for at, replicas in ((of_policy.at - of_policy.seconds, before), (of_policy.at, wanted)):
                if not account.steps or account.steps[-1][1] != replicas:
                    account.scalings += bool(account.steps)
                    account.steps.append((at, replicas))
        if stretch.scaling is not None:
            self.scalings.append(stretch.scaling)


def outcomes(
    stretches: Iterable[Sequence[Stretch]], begin: float, end: float, scored_from: float
) -> dict[str, Outcome]:
    """Sum up by target, from a time on. Times in seconds since 1970."""
    found: dict[str, Outcome] = {}
    for of_moment in stretches:
        for stretch in of_moment:
            if stretch.spans[RECORDED].at < scored_from:
                continue
            target = stretch.target
            if target.uid not in found:
                objective = target.spec.objective
                found[target.uid] = Outcome(
                    *target.key,
                    objective.threshold_milliseconds,
                    objective.percent,
                    max(begin, scored_from),
                    end,
                )
            found[target.uid].add(stretch)
    return found


def figures(outcome: Outcome) -> dict[str, Any]:
    """What `summary.json` holds of a target."""
    of_recorded = outcome.accounts[RECORDED].replica_seconds

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 6)

    return {
        "namespace": outcome.namespace,
        "deployment": outcome.name,
        "objective": {"thresholdMilliseconds": outcome.threshold_milliseconds, "percent": outcome.percent},
        "seconds": round(outcome.seconds, 1),
        "requests": round(outcome.accounts[RECORDED].requests),
        "late_counted": rounded(outcome.counted_late_ratio),
        "late_counted_share_of_requests": rounded(
            outcome.counted_requests / max(outcome.accounts[RECORDED].requests, 1e-9)
        ),
        "policies": {
            policy: {
                "replica_seconds": round(account.replica_seconds, 1),
                "cost_over_recorded": rounded(account.replica_seconds / of_recorded) if of_recorded else None,
                "late_modelled": rounded(account.late_ratio),
                "scalings": account.scalings,
                "most_replicas": account.most,
            }
            for policy, account in outcome.accounts.items()
        },
    }
