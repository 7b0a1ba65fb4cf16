"""The benchmark's report for people, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from loadtests.bench.run import NO_KNOB, OURS, Row
from loadtests.bench.score import FEASIBLE, HELD_MEAN, HELD_SEED, by_cell, holds, oracle, standings


def markdown(rows: Sequence[Row], summary: Mapping[str, object]) -> str:
    """The whole report: what was run, every setting's standing, ours cell by cell."""
    lines = [
        "# Autoscaler benchmark",
        "",
        f"Configuration `{summary['configuration']}`: {summary['cells']} cells, of which {summary['cells_feasible']} are "
        f"feasible (the known-rate oracle is at most {100 * FEASIBLE:g}% late); {summary['seeds']} seeds; {summary['runs']} runs.",
        f"A cell is held with at most {100 * HELD_MEAN:g}% late on average and {100 * HELD_SEED:g}% with any seed.",
        f"Not listed are {summary['settings_incomplete']} settings that have not run on every feasible cell with every seed.",
        "",
        "## Every setting on the feasible cells, the cheapest first",
        "",
        "| policy | knob | cells held | cost / work | cost / oracle | late | worst hour | hours above 1% |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.policy} | {one.knob} | {one.held} of {one.cells} | {one.cost_over_work:.3f} | {one.cost_over_oracle:.3f} "
        f"| {100 * one.late:.2f}% | {100 * one.worst_hour:.1f}% | {100 * one.hours_above:.1f}% |"
        for one in standings(rows)
    ]
    grouped = by_cell(rows)
    ours, reference = grouped.get((OURS, NO_KNOB), {}), oracle(grouped)
    lines += [
        "",
        "## Ours, cell by cell",
        "",
        "| cell | feasible | held | late | cost / work | cost / oracle | scalings a day |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in sorted(ours):
        own = ours[cell]
        beside = (
            fmean(row.cost for row in own) / fmean(row.cost for row in reference[cell])
            if cell in reference
            else None
        )
        lines.append(
            f"| {cell} | {'yes' if cell in reference else 'no'} | {'yes' if holds(own) else 'no'} "
            f"| {100 * fmean(row.late for row in own):.2f}% | {fmean(row.cost / row.work for row in own):.3f} "
            f"| {'' if beside is None else f'{beside:.3f}'} | {fmean(row.scalings for row in own):.0f} |"
        )
    return "\n".join(lines) + "\n"
