"""The demo's report: its history and its load as plots on one time axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from autoscaler.replay.report.page import Fact, Report
from autoscaler.replay.report.plot import Axis, Plot, Series, Threshold
from loadtests.demo.evidence import ABORTS, ADVANCES, Counts, Tally, in_words, lines
from loadtests.demo.figures import DECISIONS, By, Run
from loadtests.demo.history import Samples, series
from loadtests.demo.observation import Snapshot
from loadtests.demo.stage import Told
from loadtests.figures import intervals
from loadtests.load_report import late_plot, latency_plot, rate_plot

_INTERVAL_SECONDS = 3.0
DASHBOARDS = "dashboards.html"
"""The page beside the report that has the shipped dashboards of the same time."""


def chronicle(
    summary: Mapping[str, object],
    run: Run,
    told: Told,
    counts: Counts,
    objective_seconds: float,
) -> Report:
    """Return the report of a run."""
    end = float(str(summary["seconds_run"]))
    samples = run.samples
    rows = intervals(run.records, _INTERVAL_SECONDS, end, objective_seconds)
    return Report(
        "An InferenceService, live",
        f"Scaled by its latency objective; {', '.join(DECISIONS[run.by])}; under a load that waits for no answer and "
        "retries nothing.",
        _facts(summary, run.by),
        Axis(0.0, end, tuple(told.events)),
        (
            rate_plot(rows),
            latency_plot(rows, objective_seconds),
            _replicas_plot(samples, told.revisions, end),
            _weights_plot(samples, told.revisions, end),
            *((_evidence_plot(run, counts),) if run.by == "evidence" else ()),
            late_plot(rows),
        ),
        _story_with_evidence(samples, told, run.evidence),
        "Latency counts from when a request was due. Replicas, weights and decisions are what the API server "
        "said, at the time it said so. Windows and verdicts are those of the "
        "operator's metrics and status. Hold, soak and evidence are shorter in this demonstration than by default.",
        ((DASHBOARDS, "The shipped dashboards over the same time"),),
    )


def _facts(summary: Mapping[str, object], by: By) -> list[Fact]:
    ours, settled = summary["not_2xx_ours"], float(str(summary["late_fraction_settled"]))
    bounds = summary["not_2xx_version_3_bounds"]
    assert isinstance(bounds, list)
    return [
        Fact("Requests", f"{summary['requests']:,}", explanation="every one counted, none retried"),
        Fact("Bad answers of ours", str(ours), ours == 0),
        Fact(
            "Bad answers of version 3",
            str(summary["not_2xx_version_3"]),
            explanation=f"its share of the traffic allows {bounds[0]} to {bounds[1]}",
        ),
        Fact(
            "Late once settled",
            f"{settled:.1%}",
            settled <= 0.05,
            "outside a start time after each change of load",
        ),
        Fact("Late in all", f"{float(str(summary['late_fraction'])):.1%}"),
        Fact(
            "Replicas, most and at the end",
            f"{summary['replicas_max']} → {summary['replicas_end']}",
            summary["scaled_up"] is True and summary["scaled_down"] is True,
            f"3 or more for {summary['seconds_at_3_or_more']} s",
        ),
        *_rollouts(summary, by),
        Fact("Measured start time", f"{summary['start_time_seconds']} s", explanation="scale write to ready"),
        Fact(
            "Dashboard panels without data",
            f"{summary['panels_without_data']} of {summary['panels']}",
            summary["panels_without_data"] == 0,
            "every query asked once, at the end",
        ),
        Fact(
            "Run", f"{summary['seconds_run']} s", explanation=f"after {summary['seconds_setup']} s of set-up"
        ),
    ]


def _rollouts(summary: Mapping[str, object], by: By) -> list[Fact]:
    evidence = summary["evidence"]
    assert isinstance(evidence, Mapping)

    def counted(version: str) -> str:
        steps = evidence[version] if by == "evidence" else []
        if not steps:
            return ""
        return (
            f"{sum(step['bad_requests'] for step in steps)} bad of {sum(step['requests'] for step in steps)} counted, "
            f"in {sum(step['windows'] for step in steps)} windows"
        )

    facts = []
    for sentence, key in DECISIONS[by].items():
        name, number, decision = sentence.split(" ", 2)
        is_shown = summary[key] is True
        value = decision if is_shown else f"not {decision}"
        facts.append(Fact(f"{name.title()} {number}", value, is_shown, counted(f"{name}_{number}")))
    return facts


def _evidence_plot(run: Run, counts: Counts) -> Plot:
    good, worse = lines(run.evidence, counts)
    return Plot(
        "Evidence",
        "percent of the way to each bound, in logarithms",
        (Series("good enough", good, 2, "step"), Series("worse than stable", worse, 4, "step")),
        (Threshold("bound", 100),),
        minimum_top=110,
        note="Good enough: likelihood of the acceptable to the unacceptable share of bad requests, bound "
        f"{ADVANCES:g}. Worse than stable: e-value, bound {ABORTS:g}. A step begins anew.",
    )


def _replicas_plot(samples: Samples, revisions: Sequence[str], end: float) -> Plot:
    lines = []
    for index, revision in enumerate(revisions):
        lines.append(
            Series(f"v{index + 1} ready", series(samples, _replicas(revision, "ready"), end), index, "step")
        )
        lines.append(
            Series(
                f"v{index + 1} wanted",
                series(samples, _replicas(revision, "desired"), end),
                index,
                "step",
                True,
            )
        )
    return Plot("Replicas", "per version", lines, minimum_top=4)


def _weights_plot(samples: Samples, revisions: Sequence[str], end: float) -> Plot:
    lines = [
        Series(f"v{index + 1}", series(samples, _weight(revision), end), index, "step")
        for index, revision in enumerate(revisions)
    ]
    return Plot("Weights", "percent of traffic in the route", lines, top=100, height=120)


def _replicas(revision: str, which: Literal["ready", "desired"]) -> Callable[[Snapshot], float | None]:
    def value(now: Snapshot) -> float | None:
        found = now.replicas.get(revision)
        if found is None:
            return None
        return found.ready if which == "ready" else found.desired

    return value


def _weight(revision: str) -> Callable[[Snapshot], float | None]:
    return lambda now: now.weights.get(revision)


def _story_with_evidence(
    samples: Samples, told: Told, evidence: Sequence[tuple[float, Tally]]
) -> list[tuple[float, str]]:
    """Merge the story with each decision that changed a number, told when its sentence is in the status, and with
    each window when it was known.
    """
    names = {revision: f"v{index + 1}" for index, revision in enumerate(told.revisions)}
    attempts = {attempt: f"v{index + 2}" for index, attempt in enumerate(told.attempts)}
    rows = list(told.story)
    counted: dict[tuple[str, int], int] = {}
    for seconds, tally in evidence:
        key = (tally.attempt, tally.step)
        if tally.attempt in attempts and (tally.verdict or tally.windows > counted.get(key, 0)):
            rows.append((seconds, f"{attempts[tally.attempt]}, {in_words(tally)}"))
            counted[key] = tally.windows
    said: dict[str, str] = {}
    for seconds, snapshot in samples:
        for revision, sentence in snapshot.decisions.items():
            if sentence != said.get(revision) and " → " in sentence and revision in names:
                rows.append((seconds, f"{names[revision]}: {sentence}"))
            said[revision] = sentence
    return sorted(rows, key=lambda row: row[0])
