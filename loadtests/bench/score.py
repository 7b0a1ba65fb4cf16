"""What the rows of all runs say: which cells are feasible, who holds them, and at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from loadtests.bench.run import NO_KNOB, ORACLE, OURS, Row

HELD_MEAN, HELD_SEED = 0.010, 0.013
"""A cell is held where the mean of the seeds' late fractions is at most the first, and none above the second."""
FEASIBLE = 0.008
"""A cell is feasible where the known-rate oracle's mean late fraction is at most this."""
MOST_CELLS = 0.9

Key = tuple[str, str]
"""Policy and knob."""


@dataclass(frozen=True)
class Standing:
    """One setting on all feasible cells that it ran on."""

    policy: str
    knob: str
    cells: int
    held: int
    cost_over_work: float
    """Geometric mean over cells of the seeds' mean."""
    late: float
    worst_hour: float
    cost_over_oracle: float

    @property
    def holds_all(self) -> bool:
        return self.held == self.cells

    @property
    def holds_most(self) -> bool:
        return self.held >= MOST_CELLS * self.cells


def by_cell(rows: Iterable[Row]) -> dict[Key, dict[str, list[Row]]]:
    """The seeds' rows of each setting and cell."""
    found: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row.policy, row.knob][row.cell].append(row)
    return found


def feasible(rows: Mapping[Key, Mapping[str, Sequence[Row]]]) -> set[str]:
    """Cells on which the oracle is hardly ever late."""
    return {
        cell
        for cell, of_seeds in rows.get((ORACLE, NO_KNOB), {}).items()
        if fmean(row.late for row in of_seeds) <= FEASIBLE
    }


def holds(of_seeds: Sequence[Row]) -> bool:
    """Whether the objective is kept, on average and with every seed."""
    return fmean(row.late for row in of_seeds) <= HELD_MEAN and max(row.late for row in of_seeds) <= HELD_SEED


def standings(rows: Iterable[Row]) -> list[Standing]:
    """Every setting on the feasible cells, the cheapest first."""
    grouped = by_cell(rows)
    cells = feasible(grouped)
    reference = grouped.get((ORACLE, NO_KNOB), {})
    found = []
    for (policy, knob), of_setting in grouped.items():
        judged = {cell: of_setting[cell] for cell in sorted(cells & set(of_setting))}
        if not judged:
            continue
        costs = {cell: fmean(row.cost / row.work for row in of_seeds) for cell, of_seeds in judged.items()}
        over = [cost / fmean(row.cost / row.work for row in reference[cell]) for cell, cost in costs.items()]
        found.append(
            Standing(
                policy,
                knob,
                len(judged),
                sum(holds(of_seeds) for of_seeds in judged.values()),
                geometric_mean(costs.values()),
                fmean(row.late for of_seeds in judged.values() for row in of_seeds),
                max(row.worst_hour for of_seeds in judged.values() for row in of_seeds),
                geometric_mean(over),
            )
        )
    return sorted(found, key=lambda standing: standing.cost_over_work)


def summary(rows: Sequence[Row]) -> dict[str, object]:
    """What `out/bench/summary.json` holds."""
    grouped = by_cell(rows)
    ranked = standings(rows)
    ours = next((standing for standing in ranked if standing.policy == OURS), None)
    peers = [standing for standing in ranked if standing.policy not in (OURS, ORACLE)]
    most = next((standing for standing in peers if standing.holds_most), None)
    every = next((standing for standing in peers if standing.holds_all), None)
    return {
        "configuration": rows[0].configuration if rows else "",
        "cells": len({row.cell for row in rows}),
        "cells_feasible": len(feasible(grouped)),
        "seeds": len({row.seed for row in rows}),
        "runs": len(rows),
        "ours_cells_held": ours.held if ours else None,
        "ours_cost_over_work": ours.cost_over_work if ours else None,
        "ours_cost_over_oracle": ours.cost_over_oracle if ours else None,
        "ours_late": ours.late if ours else None,
        "peer_that_holds_most": f"{most.policy} {most.knob}" if most else None,
        "peer_that_holds_most_gap_closed": _gap_closed(grouped, most) if most else None,
        "peer_that_holds_all": f"{every.policy} {every.knob}" if every else None,
        "peer_that_holds_all_cost_ratio": ours.cost_over_work / every.cost_over_work
        if ours and every
        else None,
    }


def _gap_closed(rows: Mapping[Key, Mapping[str, Sequence[Row]]], peer: Standing) -> float | None:
    """(peer - ours) / (peer - oracle) in geometric means of cost over work, on the cells that the peer holds."""
    of_peer = rows[peer.policy, peer.knob]
    cells = [cell for cell in feasible(rows) & set(of_peer) if holds(of_peer[cell])]

    def cost(policy: str) -> float | None:
        of_policy = rows.get((policy, NO_KNOB), {})
        known = [fmean(row.cost / row.work for row in of_policy[cell]) for cell in cells if cell in of_policy]
        return geometric_mean(known) if len(known) == len(cells) else None

    ours, oracle = cost(OURS), cost(ORACLE)
    if not cells or ours is None or oracle is None:
        return None
    theirs = geometric_mean(fmean(row.cost / row.work for row in of_peer[cell]) for cell in cells)
    return (theirs - ours) / (theirs - oracle) if theirs != oracle else None
