"""The report for people, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loadtests.failover.phases import PHASES
from loadtests.failover.summary import MOST_GAP_SECONDS, shortcomings

Figures = Mapping[str, Any]
_WHAT = {phase.name: phase.what for phase in PHASES}


def markdown(summary: Figures) -> str:
    """Return the whole report; `summary` as in `summary.json`."""
    return "\n".join([*_head(summary), *_cases(summary), *_courses(summary)]) + "\n"


def _head(summary: Figures) -> Iterator[str]:
    missing = shortcomings(summary)
    yield "# Leaders lost under load"
    yield ""
    yield (
        f"{len(summary['cases'])} leaders were lost in {sum(bool(one['cases']) for one in summary['courses'])} rollouts and "
        f"surges under {summary['requests']:,} requests, of which {summary['not_2xx']} had no whole 2xx answer; "
        f"{summary['late_fraction']:.1%} were late or failed."
    )
    yield (
        f"From a leader's last renewal to its successor's first: at most {_seconds(summary['longest_lease_gap_seconds'])}, to "
        f"its first work at most {_seconds(summary['longest_work_gap_seconds'])} (wanted: {MOST_GAP_SECONDS:g} s). Writes that "
        f"came late: {summary['late_writes']}, of which {summary['late_writes_refused']} were refused and "
        f"{len(summary['overruling_writes'])} overruled the successor."
    )
    yield ""
    yield f"**Not shown:** {'; '.join(missing)}." if missing else "All of it was shown."
    for title, key in (
        ("Failed", "failures"),
        ("Not reached", "not_reached"),
        ("Overruling", "overruling_writes"),
    ):
        if summary[key]:
            yield ""
            yield f"**{title}:** {'; '.join(summary[key])}"


def _cases(summary: Figures) -> Iterator[str]:
    yield ""
    yield "## Losses"
    yield ""
    yield "| phase | program | leader | to the next leader | to its work | late writes |"
    yield "|---|---|---|---|---|---|"
    order = list(_WHAT)
    for one in sorted(summary["cases"], key=lambda case: order.index(case["phase"])):
        yield (
            f"| {one['phase']}: {_WHAT[one['phase']]} | {one['program']} | {one['fault']} "
            f"| {_seconds(one['lease_gap_seconds'])} | {_seconds(one['work_gap_seconds'])} "
            f"| {'; '.join(one['wrote_late']) or 'none'} |"
        )


def _courses(summary: Figures) -> Iterator[str]:
    yield ""
    yield "## Rollouts and surges"
    yield ""
    yield "| | leaders lost | took | requests | bad | late | ended as without a loss |"
    yield "|---|---|---|---|---|---|---|"
    for one in summary["courses"]:
        verdict = "yes" if one["ended_as_without_loss"] else "**no**"
        yield (
            f"| {one['course']} | {', '.join(one['cases']) or 'none'} | {one['seconds']:.0f} s | {one['requests']} "
            f"| {one['not_2xx']} | {one['late_fraction']:.1%} | {verdict if one['cases'] else ''} |"
        )


def _seconds(value: float | None) -> str:
    return "none followed" if value is None else f"{value:.1f} s"
