"""The benchmark in pictures: who is late how often at which cost, by size, and cost over the oracle's cell by cell. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from autoscaler.replay.report.plot import Axis, Plot, Point, Series, Threshold
from loadtests.bench.run import NO_KNOB, OURS, Row
from loadtests.bench.score import HELD_MEAN, NOT_COUNTED, Standing, by_cell, oracle, standings
from loadtests.pictures import stacked

MOST_PEERS = 7
"""As many as there are colours beside ours."""
DEAREST, LATEST_PERCENT = 4.0, 6.0
"""Ends of the axes, further only where ours is: cost over the oracle's, and percent late."""
MARKS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)


def pareto(rows: Sequence[Row]) -> str:
    """Settings that no other of their policy beats in both, on the feasible cells of each size; the nearer to the corner the better."""
    peers = _best_peers(standings(rows))
    plots = []
    for size, of_size in _by_size(rows).items():
        found: dict[str, list[Standing]] = defaultdict(list)
        for standing in standings(of_size):
            found[standing.policy].append(standing)
        series = [Series(OURS, _dash(found[OURS]), 0)] if found[OURS] else []
        series += [Series(peer, front(found[peer]), at) for at, peer in enumerate(peers, 1) if found[peer]]
        if series:
            plot = Plot(
                f"{size} replicas busy on average",
                "percent late, by cost over that of the known-rate oracle",
                series,
                [Threshold("objective", 100 * HELD_MEAN)],
                top=LATEST_PERCENT,
                height=190,
            )
            dearest = max([DEAREST, *(one.cost_over_oracle for one in found[OURS])])
            marks = MARKS if dearest <= DEAREST else range(1, math.ceil(dearest) + 1)
            plots.append((plot, Axis(1.0, marks[-1], marks=marks)))
    return stacked(plots, "late requests and cost by policy and size")


def cost_over_bound(rows: Sequence[Row]) -> str:
    """Cost over the known-rate oracle's for every feasible cell, each policy from its best cell to its worst."""
    grouped = by_cell(rows)
    reference = oracle(grouped)
    ranked = standings(rows)
    chosen = {(OURS, NO_KNOB): OURS}
    for peer in _best_peers(ranked):
        best = next(one for one in ranked if one.policy == peer and one.holds_most)
        chosen[peer, best.knob] = f"{peer} {best.knob}"
    series = []
    for at, (key, label) in enumerate(list(chosen.items())[:4]):
        ratios = sorted(
            fmean(row.cost for row in grouped[key][cell]) / fmean(row.cost for row in reference[cell])
            for cell in set(reference) & set(grouped.get(key, {}))
        )
        series.append(Series(label, [(float(rank), ratio) for rank, ratio in enumerate(ratios, 1)], at))
    count = max((len(one.points) for one in series), default=1)
    marks = sorted({1, count, *range(10, count, 10)})
    plot = Plot("Cost over the known-rate oracle's", "feasible cells, each policy's sorted", series, minimum_top=2.0, height=220)  # fmt: skip
    return stacked([(plot, Axis(1, max(count, 2), marks=marks))], "cost over the oracle's by cell")


def front(of: Iterable[Standing]) -> list[Point]:
    """Cost and percent late of those that none beats in both, the cheapest first; as far as the picture goes."""
    found: list[Point] = []
    least = LATEST_PERCENT
    for one in sorted(of, key=lambda standing: (standing.cost_over_oracle, standing.late)):
        if one.cost_over_oracle <= DEAREST and 100 * one.late < least:
            least = 100 * one.late
            found.append((one.cost_over_oracle, least))
    return found if len(found) != 1 else _dashed(*found[0])


def _dash(of: Sequence[Standing]) -> list[Point]:
    return [point for one in of for point in _dashed(one.cost_over_oracle, 100 * one.late)]


def _dashed(cost: float, late: float | None) -> list[Point]:
    """A point, drawn as a dash."""
    width = (DEAREST - 1) / 100
    return [(cost - width, late), (cost + width, late), (cost + width, None)]


def _best_peers(ranked: Sequence[Standing]) -> list[str]:
    """Those of which a setting holds most cells, the cheapest first."""
    peers = [one for one in ranked if one.policy not in (OURS, *NOT_COUNTED)]
    named = dict.fromkeys(one.policy for one in peers if one.holds_most)
    return list(named)[:MOST_PEERS]


def _by_size(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        size = next((part[2:] for part in row.cell.split("/") if part.startswith("a=")), "?")
        found[size].append(row)
    return dict(sorted(found.items(), key=lambda pair: float(pair[0]) if pair[0] != "?" else 0.0))
