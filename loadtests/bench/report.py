"""The benchmark's report for people, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from loadtests.bench.ablations import ABLATIONS
from loadtests.bench.run import NO_KNOB, OURS, Row
from loadtests.bench.score import (
    FEASIBLE,
    HELD_MEAN,
    HELD_SEED,
    NOT_COUNTED,
    Grouped,
    by_cell,
    by_size,
    clairvoyant,
    cost_ratio,
    holds,
    is_smooth,
    oracle,
    retuned,
    standings,
)


def markdown(rows: Sequence[Row], summary: Mapping[str, object], extra: Sequence[Row] = ()) -> str:
    """The whole report: what was run, every setting's standing, ours cell by cell, and without each mechanism (`extra`)."""
    lines = [
        "# Autoscaler benchmark",
        "",
        f"Configuration `{summary['configuration']}`: {summary['cells']} cells, of which {summary['cells_feasible']} are "
        f"feasible (the known-rate oracle is at most {100 * FEASIBLE:g}% late); {summary['seeds']} seeds; {summary['runs']} runs.",
        f"A cell is held with at most {100 * HELD_MEAN:g}% late on average and {100 * HELD_SEED:g}% with any seed.",
        f"Of {summary['cells_infeasible']} cells that are not feasible ours is less late on {summary['cells_infeasible_won']} than "
        "every peer's setting that costs no more.",
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
    lines += _by_size(rows, by_cell([*rows, *extra]))
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
    lines += _ablations(grouped, extra)
    return "\n".join(lines) + "\n"


def _ablations(grouped: Grouped, extra: Sequence[Row]) -> list[str]:
    """Ours without each of its mechanisms beside ours, on the feasible cells that both ran on."""
    reference, ours = oracle(grouped), grouped.get((OURS, NO_KNOB), {})
    if not extra:
        return []
    lines = [
        "",
        "## Ours without one mechanism",
        "",
        "A mechanism is kept that saves 1% of the cost or holds a further cell.",
        "",
        "| without | what is missing | cells held | with it | cost over with it | late | with it |",
        "|---|---|---|---|---|---|---|",
    ]
    for (_, knob), found in by_cell(extra).items():
        name = knob.removeprefix("without=")
        same = {cell: {row.seed for row in runs} for cell, runs in found.items()}
        cells = [c for c in reference if c in ours and {row.seed for row in ours[c]} == same.get(c)]
        if name not in ABLATIONS or not cells:
            continue
        told = [[of[cell] for cell in cells] for of in (found, ours)]
        held = [sum(map(holds, of_cells)) for of_cells in told]
        late = [100 * fmean(row.late for runs in of_cells for row in runs) for of_cells in told]
        ratio = cost_ratio(found, ours, cells)
        lines.append(
            f"| {name} | {ABLATIONS[name].mechanism} | {held[0]} of {len(cells)} | {held[1]} | {ratio:.3f} "
            f"| {late[0]:.2f}% | {late[1]:.2f}% |"
        )
    return lines


def _by_size(rows: Sequence[Row], grouped: Grouped) -> list[str]:
    """Ours beside who knows more and beside the cheapest peer that holds, by the replicas that are busy on average."""
    reference, before = oracle(grouped), clairvoyant(grouped)
    of_ours, of_keda = grouped.get((OURS, NO_KNOB), {}), retuned(grouped)
    best = next(
        (one for one in standings(rows) if one.holds_most and one.policy not in (OURS, *NOT_COUNTED)), None
    )
    of_best = {} if best is None else grouped[best.policy, best.knob]
    name = "none does" if best is None else f"{best.policy} {best.knob}"
    lines = [
        "",
        "## Ours by size",
        "",
        "Cost over that of the known-rate oracle, the clairvoyant (also on smooth days with starts of 60 s alone), KEDA's threshold as the day in",
        f"hindsight asks for it, and the cheapest setting of a peer that holds most ({name}).",
        "",
        "| busy replicas | cells held | over the oracle | over the clairvoyant | the same, smooth | over KEDA | over the cheapest peer |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, cells in by_size(reference).items():
        mine = [of_ours[cell] for cell in cells if cell in of_ours]
        smooth = list(filter(is_smooth, cells))
        ratios = [
            cost_ratio(of_ours, reference, cells),
            cost_ratio(of_ours, before, cells),
            cost_ratio(of_ours, before, smooth),
            cost_ratio(of_ours, of_keda, cells),
            cost_ratio(of_ours, of_best, cells),
        ]
        told = " | ".join("" if ratio is None else f"{ratio:.3f}" for ratio in ratios)
        lines.append(f"| {size} | {sum(map(holds, mine))} of {len(cells)} | {told} |")
    return lines
