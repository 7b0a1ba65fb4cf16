"""What the rows of all runs say: which cells are feasible, who holds them, and at what cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from loadtests.bench.run import CLAIRVOYANT, HINDSIGHT, NO_KNOB, ORACLE, OURS, Row

HELD_MEAN, HELD_SEED = 0.010, 0.013
"""A cell is held where the mean of the seeds' late fractions is at most the first, and none above the second."""
FEASIBLE = 0.008
"""A cell is feasible where the known-rate oracle's mean late fraction is at most this."""
MOST_CELLS = 0.9
NOT_COUNTED = (ORACLE, CLAIRVOYANT)
"""Whose settings are one: the best of each cell."""

KEDA = ("keda-rate", "keda-queue", HINDSIGHT)
SMOOTH = ("diurnal", "ramps")
"""Traces without steps and bursts."""

Key = tuple[str, str]
"""Policy and knob."""
Grouped = Mapping[Key, Mapping[str, Sequence[Row]]]
"""The seeds' rows of each setting and cell."""


@dataclass(frozen=True)
class Standing:
    """One setting on all feasible cells."""

    policy: str
    knob: str
    cells: int
    held: int
    cost_over_work: float
    """Geometric mean over cells of the seeds' mean."""
    late: float
    worst_hour: float
    hours_above: float
    """Share of the hours with more than 1% late."""
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


def oracle(rows: Grouped) -> dict[str, Sequence[Row]]:
    """Of each feasible cell the runs of the known-rate oracle's cheapest schedule that is hardly ever late."""
    return _cheapest(rows, (ORACLE,), lambda runs: fmean(row.late for row in runs) <= FEASIBLE)


def clairvoyant(rows: Grouped) -> dict[str, Sequence[Row]]:
    """Of each cell that it holds the runs of the clairvoyant's cheapest schedule."""
    return _cheapest(rows, (CLAIRVOYANT,), holds)


def retuned(rows: Grouped) -> dict[str, Sequence[Row]]:
    """Of each cell that it holds the runs of KEDA's cheapest threshold, chosen for the cell in hindsight."""
    return _cheapest(rows, KEDA, holds)


def _cheapest(
    rows: Grouped, policies: Sequence[str], fits: Callable[[Sequence[Row]], bool]
) -> dict[str, Sequence[Row]]:
    found: dict[str, Sequence[Row]] = {}
    seeds: dict[str, int] = defaultdict(int)
    for of_setting in rows.values():
        for cell, runs in of_setting.items():
            seeds[cell] = max(seeds[cell], len(_seeds(runs)))
    for (policy, _), of_setting in rows.items():
        for cell, runs in of_setting.items() if policy in policies else ():
            if len(_seeds(runs)) < seeds[cell]:
                continue  # of fewer it would be found by chance
            if fits(runs) and (cell not in found or _cost(runs) < _cost(found[cell])):
                found[cell] = runs
    return found


def cost_ratio(
    ours: Mapping[str, Sequence[Row]], theirs: Mapping[str, Sequence[Row]], cells: Iterable[str]
) -> float | None:
    """Geometric mean of ours over theirs on those of the cells that both have; None without any."""
    ratios = [_cost(ours[cell]) / _cost(theirs[cell]) for cell in cells if cell in ours and cell in theirs]
    return geometric_mean(ratios) if ratios else None


def is_smooth(cell: str) -> bool:
    """Whether a cell's trace has no steps and bursts, and its pods start within a minute."""
    return cell.split("/")[0] in SMOOTH and "/start=60/" in cell


def by_size(cells: Iterable[str]) -> dict[str, list[str]]:
    """Cells by the replicas that are busy on average, the fewest first."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        size = next((part[2:] for part in cell.split("/") if part.startswith("a=")), "0")
        found.setdefault(size, []).append(cell)
    return dict(sorted(found.items(), key=lambda pair: float(pair[0])))


def _late(of_seeds: Sequence[Row]) -> float:
    return fmean(row.late for row in of_seeds)


def _cost(of_seeds: Sequence[Row]) -> float:
    """Over the work, mean of the seeds."""
    return fmean(row.cost / row.work for row in of_seeds)


def holds(of_seeds: Sequence[Row]) -> bool:
    """Whether the objective is kept, on average and with every seed."""
    return fmean(row.late for row in of_seeds) <= HELD_MEAN and max(row.late for row in of_seeds) <= HELD_SEED


def standings(rows: Iterable[Row]) -> list[Standing]:
    """Every setting that ran on all feasible cells with all seeds, the cheapest first; the oracle's schedules as one."""
    grouped = by_cell(rows)
    reference = oracle(grouped)
    if not reference:
        return []
    judged_by_key: dict[Key, Mapping[str, Sequence[Row]]] = {(ORACLE, NO_KNOB): reference}
    judged_by_key |= {(CLAIRVOYANT, NO_KNOB): clairvoyant(grouped)}
    judged_by_key |= {key: found for key, found in grouped.items() if key[0] not in (ORACLE, CLAIRVOYANT)}
    found = []
    for (policy, knob), of_setting in judged_by_key.items():
        if any(_seeds(of_setting.get(cell, ())) != _seeds(runs) for cell, runs in reference.items()):
            continue
        judged = [of_setting[cell] for cell in reference]
        costs = [_cost(of_seeds) for of_seeds in judged]
        over = [cost / _cost(runs) for cost, runs in zip(costs, reference.values(), strict=True)]
        found.append(
            Standing(
                policy,
                knob,
                len(judged),
                sum(holds(of_seeds) for of_seeds in judged),
                geometric_mean(costs),
                fmean(row.late for of_seeds in judged for row in of_seeds),
                max(row.worst_hour for of_seeds in judged for row in of_seeds),
                fmean(row.hours_above for of_seeds in judged for row in of_seeds),
                geometric_mean(over),
            )
        )
    return sorted(found, key=lambda standing: standing.cost_over_work)


def _seeds(runs: Iterable[Row]) -> set[int]:
    return {row.seed for row in runs}


def won(rows: Grouped) -> tuple[int, int]:
    """Of the cells that are not feasible: how many there are, and on how many ours is less late than whatever costs no more."""
    possible, ours = oracle(rows), rows.get((OURS, NO_KNOB), {})
    cells = [cell for cell in ours if cell not in possible]

    def is_won(cell: str) -> bool:
        others = [
            of_setting[cell]
            for key, of_setting in rows.items()
            if key[0] not in (OURS, *NOT_COUNTED) and cell in of_setting
        ]
        cheaper = [runs for runs in others if _cost(runs) <= _cost(ours[cell])]
        return all(_late(ours[cell]) < _late(runs) for runs in cheaper)

    return len(cells), sum(map(is_won, cells))


def summary(rows: Sequence[Row], extra: Sequence[Row] = ()) -> dict[str, object]:
    """What `out/bench/summary.json` holds; `extra`: rows of what nobody would run."""
    grouped = by_cell(rows)
    reference, of_ours = oracle(grouped), grouped.get((OURS, NO_KNOB), {})
    ranked = standings(rows)
    ours = next((standing for standing in ranked if standing.policy == OURS), None)
    peers = [standing for standing in ranked if standing.policy not in (OURS, ORACLE, CLAIRVOYANT)]
    most = next((standing for standing in peers if standing.holds_most), None)
    every = next((standing for standing in peers if standing.holds_all), None)
    of_keda, seen_before = retuned(by_cell([*rows, *extra])), clairvoyant(grouped)
    infeasible, infeasible_won = won(grouped)
    return {
        "configuration": rows[0].configuration if rows else "",
        "cells": len({row.cell for row in rows}),
        "cells_feasible": len(reference),
        "seeds": len({row.seed for row in rows}),
        "runs": len(rows),
        "settings": len(ranked),
        "settings_incomplete": len([key for key in grouped if key[0] not in NOT_COUNTED])
        - len([one for one in ranked if one.policy not in NOT_COUNTED]),
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
        "retuned_keda_cells": len(reference.keys() & of_keda.keys()),
        "retuned_keda_cost_ratio": cost_ratio(of_ours, of_keda, reference),
        "clairvoyant_cost_ratio": cost_ratio(of_ours, seen_before, reference),
        "smooth_over_clairvoyant": {
            size: cost_ratio(of_ours, seen_before, filter(is_smooth, cells))
            for size, cells in by_size(reference).items()
        },
        "cells_infeasible": infeasible,
        "cells_infeasible_won": infeasible_won,
    }


def _gap_closed(rows: Grouped, peer: Standing) -> float | None:
    """(peer - ours) / (peer - oracle) in geometric means of cost over work, on the cells that the peer holds."""
    reference, of_peer, of_ours = oracle(rows), rows[peer.policy, peer.knob], rows.get((OURS, NO_KNOB), {})
    cells = [cell for cell in reference if holds(of_peer[cell])]
    if not cells or not all(cell in of_ours for cell in cells):
        return None
    theirs, ours, least = (
        geometric_mean(_cost(of[cell]) for cell in cells) for of in (of_peer, of_ours, reference)
    )
    return (theirs - ours) / (theirs - least) if theirs != least else None
