"""What the table says: the worst of all seeds, row by row. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.faults.live import LIVE
from loadtests.faults.measure import Figures
from loadtests.faults.play import Outcome
from loadtests.faults.scenario import Scenario


def summary(scenarios: Sequence[Scenario], outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """What `summary.json` holds."""
    rows = [_row(scenario, outcomes[scenario.name]) for scenario in scenarios if outcomes.get(scenario.name)]
    return {
        "scenarios": len(rows),
        "seeds": max((len(found) for found in outcomes.values()), default=0),
        "scenarios_held": sum(not row["broken"] for row in rows),
        "rows": rows,
    }


def _row(scenario: Scenario, found: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "sentence": scenario.sentence,
        "seconds": scenario.lasts,
        "with": _worst([one.run for one in found]),
        "without": _worst([one.without for one in found]),
        "said": sorted(frozenset().union(*(one.told for one in found))),
        "musts": [must.sentence for must in scenario.musts],
        "broken": sorted({sentence for one in found for sentence in one.broken}),
        "live": LIVE.get(scenario.name),
    }


def _worst(of: Sequence[Figures]) -> dict[str, Any]:
    settled = [one.settled_after for one in of]
    return {
        "before": [min(one.before for one in of), max(one.before for one in of)],
        "lowest": min(one.lowest for one in of),
        "highest": max(one.highest for one in of),
        "excess": max(one.excess for one in of),
        "after": [min(one.after for one in of), max(one.after for one in of)],
        "turns": max(one.turns for one in of),
        "late": max(one.late for one in of),
        "late_until": max(one.late_until for one in of),
        "settled_after": None if None in settled else max(one for one in settled if one is not None),
    }


def markdown(summary: Mapping[str, Any]) -> str:
    """The report."""
    rows = summary["rows"]
    lines = [
        "# Faults and changes",
        "",
        f"{summary['scenarios_held']} of {summary['scenarios']} rows hold what they must, with all of {summary['seeds']} seeds; "
        "figures are the worst of them. In brackets: the same run without the fault. Late is the share of all requests from the "
        "fault's begin on; *late until* is the end of the last minute with more than 5% late, and *as without* when replicas were "
        "those of the run without it and stayed, both in seconds after the fault's end. Rows with a star also have a test on the local "
        "cluster, named below the table.",
        "",
        "| what happens | replicas before | lowest meanwhile | highest | at the end | turns | late | late until | as without | says | holds |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
        *(_line(row) for row in rows),
    ]
    for row in rows:
        if row["live"]:
            lines += ["", f"\\* {row['sentence']}: `pytest {row['live']}`."]
    for row in rows:
        if row["broken"]:
            lines += ["", f"**{row['name']}** does not hold: {'; '.join(row['broken'])}."]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    run, without = row["with"], row["without"]
    settled = run["settled_after"]
    cells = (
        f"{row['sentence']}{' *' if row['live'] else ''}",
        _span(run["before"]),
        f"{run['lowest']} ({without['lowest']})",
        f"{run['highest']} ({without['highest']})",
        f"{_span(run['after'])} ({_span(without['after'])})",
        f"{run['turns']} ({without['turns']})",
        f"{run['late']:.1%} ({without['late']:.1%})",
        f"{max(run['late_until'], 0):.0f} s",
        "never" if settled is None else f"{settled:.0f} s",
        ", ".join(told.split("/")[1] for told in row["said"]) or "–",
        "**no**" if row["broken"] else "yes",
    )
    return f"| {' | '.join(cells)} |"


def _span(ends: Sequence[int]) -> str:
    low, high = ends
    return f"{low}" if low == high else f"{low}–{high}"
