"""A comparison as people read it: a table, a sentence per decision, and a page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from autoscaler.capacity import Floats
from autoscaler.replay.compare import OURS, RECORDED
from autoscaler.replay.report.outcome import Account, Outcome
from autoscaler.replay.report.page import Fact, Report
from autoscaler.replay.report.plot import Axis, Plot, Point, Series, Threshold

HOUR = 3600.0
DECISIONS_SHOWN = 300
MODEL = (
    "Late requests of other replicas than the recorded ones are modelled, not known: arrivals and work per request as "
    "recorded, replicas ready one start time after they are asked for, waiting by the queueing model of the sizing, a queue "
    "where replicas do not keep up. Bursts shorter than the recorded windows of the rates are not seen. Compare the model "
    "with the count on the recorded replicas before you believe it on others."
)
HEADINGS = ("", "replica-hours", "of recorded", "late", "scalings", "most")


def table(outcome: Outcome) -> str:
    """One target: a line per policy."""
    rows = [HEADINGS, *(_row(outcome, policy, account) for policy, account in outcome.accounts.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    title = (
        f"{outcome.namespace}/{outcome.name}: {outcome.percent:g}% within {outcome.threshold_milliseconds} ms, "
        f"{outcome.seconds / HOUR:.1f} h, {_requests(outcome):,.0f} requests, {counted(outcome)}"
    )
    return "\n".join((title, *lines))


def counted(outcome: Outcome) -> str:
    """What was counted of lateness on the replicas that there were."""
    if outcome.counted_late_ratio is None:
        return "lateness not counted: no bucket at the threshold where waiting is seen, or too few requests"
    share = outcome.counted_requests / max(_requests(outcome), 1e-9)
    of = "" if share > 0.995 else f" of the {share:.0%} that could be counted"
    return f"{outcome.counted_late_ratio:.2%} late as counted{of}"


def decisions(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """One line for each decision of ours that changes replicas."""
    for outcome in outcomes.values():
        for scaling in outcome.scalings:
            yield f"{when(scaling.at)} {outcome.namespace}/{outcome.name} [{scaling.reason}] {scaling.sentence}"


def when(seconds: float) -> str:
    """A moment as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def page(outcome: Outcome, notes: Sequence[str]) -> Report:
    """The page of one target."""
    axis = Axis(0.0, max(outcome.end - outcome.begin, 1.0))
    story = [(scaling.at - outcome.begin, scaling.sentence) for scaling in outcome.scalings[:DECISIONS_SHOWN]]
    left_out = len(outcome.scalings) - len(story)
    closing = [MODEL, *notes]
    if left_out > 0:
        closing.append(f"{left_out} later decisions are in decisions.txt.")
    return Report(
        f"Replay of {outcome.namespace}/{outcome.name}",
        f"{when(outcome.begin)} to {when(outcome.end)}; {outcome.percent:g}% within {outcome.threshold_milliseconds} ms. "
        f"{counted(outcome)}.",
        list(_facts(outcome)),
        axis,
        (_demand(outcome), _replicas(outcome), _late(outcome)),
        story,
        " ".join(closing),
    )


def _facts(outcome: Outcome) -> Iterator[Fact]:
    for policy, account in outcome.accounts.items():
        late = _percent(account.late_ratio)
        allowed = (100 - outcome.percent) / 100
        yield Fact(
            policy,
            f"{account.replica_seconds / HOUR:.1f} replica-h",
            None if account.late_ratio is None else account.late_ratio <= allowed,
            f"{late} late (modelled), {account.scalings} scalings, at most {account.most} replicas",
        )


def _row(outcome: Outcome, policy: str, account: Account) -> tuple[str, ...]:
    of_recorded = outcome.accounts[RECORDED].replica_seconds
    return (
        policy,
        f"{account.replica_seconds / HOUR:.2f}",
        f"{account.replica_seconds / of_recorded:.0%}" if of_recorded else "-",
        _percent(account.late_ratio),
        str(account.scalings),
        str(account.most),
    )


def _demand(outcome: Outcome) -> Plot:
    return Plot(
        "Arrivals",
        "requests per second",
        (Series("arrivals", _ratio(outcome, outcome.requests_by_bin, outcome.seconds_by_bin), 0, "area"),),
    )


def _replicas(outcome: Outcome) -> Plot:
    series = [
        Series(
            policy,
            [(at - outcome.begin, float(replicas)) for at, replicas in account.steps],
            colour,
            "step",
            dashed=policy not in (RECORDED, OURS),
        )
        for colour, (policy, account) in enumerate(outcome.accounts.items())
    ]
    return Plot("Replicas", "asked for", series, minimum_top=2, height=220)


def _late(outcome: Outcome) -> Plot:
    counted_points = _ratio(outcome, 100 * outcome.counted_late_by_bin, outcome.counted_by_bin)
    modelled = [
        Series(policy, _ratio(outcome, 100 * account.late_by_bin, outcome.requests_by_bin), colour)
        for colour, (policy, account) in enumerate(outcome.accounts.items())
    ]
    return Plot(
        "Late",
        "percent of requests",
        (Series("recorded, as counted", counted_points, 7, dashed=True), *modelled),
        (Threshold(f"objective {100 - outcome.percent:g}%", 100 - outcome.percent),),
        minimum_top=2 * (100 - outcome.percent),
    )


def _ratio(outcome: Outcome, above: Floats, below: Floats) -> list[Point]:
    width = (outcome.end - outcome.begin) / len(above)
    return [
        ((place + 0.5) * width, float(over / under) if under > 0 else None)
        for place, (over, under) in enumerate(zip(above, below, strict=True))
    ]


def _requests(outcome: Outcome) -> float:
    return outcome.accounts[RECORDED].requests


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2%}"
