"""The figures of `out/demo/summary.json`, each from records and history. Pure; keys in loadtests/README.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Literal

from loadtests.demo.evidence import Tally, of_steps
from loadtests.demo.history import (
    Exposure,
    Samples,
    exposure,
    rejected_because,
    seconds_while,
    start_time_seconds,
    was_committed,
    was_good_enough,
    was_scaled,
)
from loadtests.figures import late_fraction, not_2xx_by_revision
from loadtests.record import Record

WATCH_DELAY_SECONDS = 1.0
"""How much later than it happened a change may have been seen."""
CONFIDENCE = 0.999
PEAK_REPLICAS = 3
By = Literal["evidence", "labels"]
"""Who decides the demo's rollouts: the judge on evidence, or a person by labels."""
RUN_SECONDS: Mapping[By, float] = {"evidence": 480.0, "labels": 300.0}
"""What a run with its summary takes at most."""


@dataclass(frozen=True)
class Attribution:
    """Which bad responses are the broken version's own, and whether their number is believable."""

    own: frozenset[int]
    """Numbers of the records; empty if the rule does not hold."""
    candidates: int
    """Bad responses that carry its header and fall into its window."""
    lowest: int
    highest: int
    """Bounds at 99.9% for that number, from requests and weight."""

    @property
    def fits(self) -> bool:
        """Whether the number lies within the bounds."""
        return self.lowest <= self.candidates <= self.highest


@dataclass(frozen=True)
class Run:
    """All that the summary is made of. Times are seconds since the start of the load."""

    by: By
    records: Sequence[Record]
    requests: int
    samples: Samples
    load_changes: Sequence[float]
    objective_seconds: float
    revisions: Sequence[str]
    """Revisions of version 1, 2, 3 and 4, as far as the run came; labels decide up to version 3."""
    attempts: Sequence[str]
    """Attempts of version 2, 3 and 4, as far as the run came."""
    evidence: Sequence[tuple[float, Tally]]
    """What became known of them, in order of time."""
    seconds_setup: float
    seconds_run: float
    panels: Mapping[str, bool]
    """Whether each panel of the dashboard had data at the end, by title."""


def binomial_bounds(trials_least: int, trials_most: int, share: float, confidence: float) -> tuple[int, int]:
    """Return the bounds that the count of a binomial variable leaves with at most 1 − confidence, half each side.

    The number of trials lies between the two given; the lower bound is that of the least, the upper of the most.
    """
    tail = (1 - confidence) / 2
    return _quantile(trials_least, share, tail), _quantile(trials_most, share, 1 - tail)


def attribute(records: Sequence[Record], revision: str, window: Exposure | None) -> Attribution:
    """Apply the rule: a bad response is the revision's own if it carries its header and falls in its window,
    and if the number of those fits the requests times the weight. Otherwise none is.
    """
    if window is None or not revision:
        return Attribution(frozenset(), 0, 0, 0)
    begin, end = window.outer[0] - WATCH_DELAY_SECONDS, window.outer[1] + WATCH_DELAY_SECONDS
    own = frozenset(
        record.number
        for record in records
        if record.revision == revision and not record.is_success and begin <= record.sent_seconds <= end
    )
    surely = sum(
        window.inner[0] <= record.sent_seconds < window.inner[1] - WATCH_DELAY_SECONDS for record in records
    )
    possibly = sum(begin <= record.sent_seconds <= end for record in records)
    lowest, highest = binomial_bounds(surely, possibly, window.weight_percent / 100, CONFIDENCE)
    result = Attribution(own, len(own), lowest, highest)
    return result if result.fits else Attribution(frozenset(), len(own), lowest, highest)


def late_fraction_settled(
    records: Sequence[Record],
    threshold_seconds: float,
    load_changes: Sequence[float],
    start_seconds: float,
    excluded: frozenset[int],
) -> float:
    """Return the share of late requests, leaving out one start time after each change of load."""
    settled = [
        record
        for record in records
        if record.number not in excluded
        and not any(change <= record.scheduled_seconds < change + start_seconds for change in load_changes)
    ]
    return late_fraction(settled, threshold_seconds)


def summarise(run: Run) -> dict[str, object]:
    """Return the summary of a run."""
    _, second, third, fourth = [*run.revisions, "", "", "", ""][:4]
    second_id, third_id, fourth_id = [*run.attempts, "", "", ""][:3]
    window = exposure(run.samples, third, run.seconds_run) if third else None
    attribution = attribute(run.records, third, window)
    bad = [record for record in run.records if not record.is_success]
    own_responses = frozenset(
        record.number
        for record in run.records
        if record.number in attribution.own or (third and record.is_success and record.revision == third)
    )
    start_seconds = start_time_seconds(run.samples)
    scaled_up, scaled_down = was_scaled(run.samples, up_to=PEAK_REPLICAS)
    last = run.samples[-1][1] if run.samples else None
    commands = {command for _, snapshot in run.samples for command in snapshot.commands}
    promoted = was_committed(run.samples, second)
    because = rejected_because(run.samples, third_id, third, second)
    return {
        "by": run.by,
        "requests": run.requests,
        "not_2xx": len(bad),
        "not_2xx_by_revision": not_2xx_by_revision(run.records),
        "not_2xx_ours": len(bad) - len(attribution.own),
        "not_2xx_version_3": attribution.candidates,
        "not_2xx_version_3_bounds": [attribution.lowest, attribution.highest],
        "late_fraction": late_fraction(run.records, run.objective_seconds),
        "late_fraction_settled": late_fraction_settled(
            run.records, run.objective_seconds, run.load_changes, start_seconds, own_responses
        ),
        "replicas_max": max((snapshot.ready_of_stable for _, snapshot in run.samples), default=0),
        "seconds_at_3_or_more": round(
            seconds_while(
                run.samples,
                run.seconds_run,
                lambda snapshot: snapshot.ready_of_stable >= PEAK_REPLICAS,
            ),
            1,
        ),
        "replicas_end": last.ready_of_stable if last else 0,
        "scaled_up": scaled_up,
        "scaled_down": scaled_down,
        "promoted": promoted,
        "promoted_by_evidence": promoted
        and was_good_enough(run.samples, second_id)
        and ("Promote", second_id) not in commands,
        "aborted": because in ("WorseThanStable", "AbortedByLabel"),
        "aborted_by_judge": because == "WorseThanStable" and ("Abort", third_id) not in commands,
        "aborted_by_label": because == "AbortedByLabel" and ("Abort", third_id) in commands,
        "promoted_by_label": any(
            was_committed(run.samples, revision)
            and ("Promote", attempt) in commands
            and not was_good_enough(run.samples, attempt)
            for revision, attempt in ((second, second_id), (fourth, fourth_id))
        ),
        "evidence": {
            f"version_{number}": [_step(tally) for tally in of_steps(run.evidence, attempt)]
            for number, attempt in enumerate((second_id, third_id, fourth_id), start=2)
        },
        "start_time_seconds": round(start_seconds, 1),
        "seconds_setup": round(run.seconds_setup, 1),
        "seconds_run": round(run.seconds_run, 1),
        "panels": len(run.panels),
        "panels_without_data": sum(not has_data for has_data in run.panels.values()),
    }


def _step(tally: Tally) -> dict[str, object]:
    return {
        "step": tally.step,
        "verdict": tally.verdict or "Collecting",
        "windows": tally.windows,
        "requests": tally.requests,
        "bad_requests": tally.bad,
        "stable_requests": tally.stable_requests,
        "stable_bad_requests": tally.stable_bad,
        "worse_than_stable": float(f"{tally.worse_than_stable:.3g}"),
        "good_enough": float(f"{tally.good_enough:.3g}"),
    }


DECISIONS: Mapping[By, Mapping[str, str]] = {
    "evidence": {
        "version 2 promoted by the evidence": "promoted_by_evidence",
        "version 3 aborted by the judge": "aborted_by_judge",
        "version 4 promoted by its label": "promoted_by_label",
    },
    "labels": {
        "version 2 promoted by its label": "promoted_by_label",
        "version 3 aborted by its label": "aborted_by_label",
    },
}
"""What must be true of the rollouts, and the key of the summary that says so."""


def shortcomings(summary: Mapping[str, object], by: By) -> list[str]:
    """Return what a run failed to show, in sentences; empty if it showed everything."""
    wanted = {
        "at least 1,000 requests are sent": int(str(summary["requests"])) >= 1000,
        "no bad response is ours": summary["not_2xx_ours"] == 0,
        "at most 5% are late once settled": float(str(summary["late_fraction_settled"])) <= 0.05,
        "3 replicas or more for 60 s": float(str(summary["seconds_at_3_or_more"])) >= 60,
        "scaled up": summary["scaled_up"] is True,
        "scaled down": summary["scaled_down"] is True,
        "version 2 promoted": summary["promoted"] is True,
        "version 3 aborted": summary["aborted"] is True,
        **{sentence: summary[key] is True for sentence, key in DECISIONS[by].items()},
        "the set-up takes at most 720 s": float(str(summary["seconds_setup"])) <= 720,
        f"the run takes at most {RUN_SECONDS[by]:.0f} s": float(str(summary["seconds_run"]))
        <= RUN_SECONDS[by],
        "every panel of the dashboard has data": summary["panels"] != 0
        and summary["panels_without_data"] == 0,
    }
    return [name for name, is_met in wanted.items() if not is_met]


def _quantile(trials: int, share: float, probability: float) -> int:
    if share <= 0 or trials == 0:
        return 0
    if share >= 1:
        return trials
    total = 0.0
    for count in range(trials + 1):
        total += exp(
            lgamma(trials + 1)
            - lgamma(count + 1)
            - lgamma(trials - count + 1)
            + count * log(share)
            + (trials - count) * log(1 - share)
        )
        if total >= probability:
            return count
    return trials
