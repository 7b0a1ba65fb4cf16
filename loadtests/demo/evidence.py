"""What was counted of each canary, and what the judge makes of it, as it grows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

from autoscaler.replay.report.plot import Point
from loadtests.demo.history import Samples
from serving_operator.judge import comparison, objective
from serving_operator.judge.verdict import judge
from serving_operator.judge.windows import Limits, Window

ABORTS = comparison.BOUND
"""The e-value of "worse than stable" that aborts."""
ADVANCES = objective.BOUND
"""The likelihood ratio of "good enough" that ends a step."""


class Counted(NamedTuple):
    """The operator's metrics of the step under way."""

    attempt: str
    windows: int
    requests: int
    bad: int
    stable_requests: int
    stable_bad: int


Counts = Sequence[tuple[float, Counted | None]]
"""Seconds since the start of the load and what the metrics said from then on; None while no step is counted."""


@dataclass(frozen=True)
class Tally:
    """What is known of one step of one attempt."""

    attempt: str
    step: int
    """From 0."""
    windows: int
    requests: int
    bad: int
    stable_requests: int
    stable_bad: int
    worse_than_stable: float
    good_enough: float
    verdict: str = ""
    """As the service's status has it; empty while evidence is collected."""


def counted(series: Sequence[Mapping[str, Any]]) -> Counted | None:
    """Return what Prometheus answers to a query for all `serving_canary_*` of one service; None without a step."""
    found: dict[tuple[str, str], int] = {}
    attempts = set()
    for one in series:
        labels = one["metric"]
        if "attempt" in labels and labels["__name__"] != "serving_canary_evidence_missing":
            attempts.add(labels["attempt"])
            found[labels["__name__"].removeprefix("serving_canary_"), labels.get("side", "")] = int(
                float(one["value"][1])
            )
    if len(attempts) != 1 or ("windows", "") not in found:
        return None
    numbers = (
        found.get((name, side), 0) for side in ("canary", "stable") for name in ("requests", "bad_requests")
    )
    return Counted(attempts.pop(), found["windows", ""], *numbers)


def grown(counts: Counts, limits: Limits) -> list[tuple[float, Tally]]:
    """Return each window's tally at the time when the metrics had it.

    The metrics are sums: a window is what they grew by. The judge is the operator's own.
    """
    tallies: list[tuple[float, Tally]] = []
    last: Counted | None = None
    step, windows = 0, list[Window]()
    for seconds, now in counts:
        if now is None:
            continue
        if last is None or now.attempt != last.attempt:
            step, windows, last = 0, [], Counted(now.attempt, 0, 0, 0, 0, 0)
        elif now.windows < last.windows:
            step, windows, last = step + 1, [], Counted(now.attempt, 0, 0, 0, 0, 0)
        if now.windows > last.windows:
            # Windows that were seen together are one here.
            windows.append(Window(*(after - before for after, before in zip(now[2:], last[2:], strict=True))))
        last = now
        found = judge(windows, limits)
        tallies.append(
            (seconds, Tally(now.attempt, step, now.windows, *now[2:], found.worse, found.good_enough))
        )
    return tallies


def verdicts(samples: Samples) -> list[tuple[float, Tally]]:
    """Return each verdict of the judge at the time when the status had it."""
    found: list[tuple[float, Tally]] = []
    for seconds, snapshot in samples:
        canary = snapshot.canary
        if canary is None or canary.evidence is None:
            continue
        said = canary.evidence
        tally = Tally(
            canary.id,
            said["step"],
            said["windows"],
            said["requests"],
            said["badRequests"],
            said["stableRequests"],
            said["stableBadRequests"],
            float(said["worseThanStable"]),
            float(said["goodEnough"]),
            said["verdict"],
        )
        if not found or found[-1][1] != tally:
            found.append((seconds, tally))
    return found


def evidence(samples: Samples, counts: Counts, limits: Limits) -> list[tuple[float, Tally]]:
    """Return all that became known of canaries, in order of time: windows from metrics, verdicts from the status."""
    return sorted([*grown(counts, limits), *verdicts(samples)], key=lambda entry: entry[0])


def of_steps(known: Sequence[tuple[float, Tally]], attempt: str) -> list[Tally]:
    """Return for each step of an attempt its last verdict, or without one the last that was counted."""
    last: dict[int, Tally] = {}
    for _, tally in known:
        if tally.attempt == attempt and (tally.verdict or not _has_verdict(last, tally.step)):
            last[tally.step] = tally
    return [last[step] for step in sorted(last)]


def _has_verdict(tallies: Mapping[int, Tally], step: int) -> bool:
    return step in tallies and bool(tallies[step].verdict)


def in_words(tally: Tally) -> str:
    """Return a tally as one line."""
    return (
        f"step {tally.step + 1}: {tally.windows} {'window' if tally.windows == 1 else 'windows'}; bad {tally.bad} of {tally.requests} (canary), "
        f"{tally.stable_bad} of {tally.stable_requests} (stable); worse than stable "
        f"{tally.worse_than_stable:.3g} (aborts at {ABORTS:g}), good enough {tally.good_enough:.3g} "
        f"(advances at {ADVANCES:g})" + (f": {tally.verdict}" if tally.verdict else "")
    )


def towards(ratio: float, bound: float) -> float:
    """Return the percentage of the way to a bound that a ratio has gone, in logarithms; at least 0."""
    return max(0.0, 100 * log(max(ratio, 1.0)) / log(bound))


def lines(known: Sequence[tuple[float, Tally]], counts: Counts) -> tuple[list[Point], list[Point]]:
    """Return how far "good enough" and "worse than stable" were on their way; a gap between steps."""
    good: list[Point] = []
    worse: list[Point] = []
    before: tuple[str, int] | None = None
    gaps = [(seconds, None) for seconds, now in counts if now is None]
    for seconds, tally in sorted([*known, *gaps], key=lambda entry: entry[0]):
        now = (tally.attempt, tally.step) if tally else None
        if before not in (None, now):
            good.append((seconds, None))
            worse.append((seconds, None))
        before = now
        if tally:
            good.append((seconds, towards(tally.good_enough, ADVANCES)))
            worse.append((seconds, towards(tally.worse_than_stable, ABORTS)))
    return good, worse
