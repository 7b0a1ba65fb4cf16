"""The settings that are compared: ours, which has none, what the oracle allows, and each peer's knobs on a grid. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from loadtests.bench.ablations import ABLATIONS
from loadtests.bench.run import CLAIRVOYANT, HINDSIGHT, IN_FLIGHT, ORACLE, OURS, Row, Setting
from loadtests.bench.score import by_cell, holds, oracle, standings

HOLDS_SECONDS = (60.0, 300.0)
TARGETS = {
    "static": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0),
    "keda-queue": (0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 4, 5),
    **dict.fromkeys(IN_FLIGHT, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0)),
}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
"""Targets of all other peers."""
ALLOWED = (0.0005, 0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.018, 0.027, 0.04)
"""Late fractions at constant rates, beyond what work alone makes late, that the oracle's schedules allow; what counts is its cheapest
that is hardly ever late."""
HEADROOMS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5)
WINDOWS_SECONDS = (15.0, 60.0, 300.0)
"""Of the clairvoyant; what counts is its cheapest that holds."""

STEP = 0.025
"""Of targets on the full grid, and of KEDA's for each cell."""
LOWEST, HIGHEST = 0.05, 1.0
FULL_HOLDS_SECONDS = (60.0, 120.0, 180.0, 300.0)
FULL_MINIMUMS = (1, 2)
FULL_TARGETS = {
    "static": tuple(round(0.05 * step, 2) for step in range(6, 51)),
    "keda-queue": (*TARGETS["keda-queue"], 0.05, 0.15, 0.25, 0.4, 1.5, 7.5, 10.0),
    **dict.fromkeys(IN_FLIGHT, (1.25, 1.5, 1.75, 2.0)),
}
"""In place of the full grid, of those in flight beside it."""


def settings(
    peers: Iterable[str], only: Sequence[float] | None = None, full: bool = False, ablate: bool = False
) -> list[Setting]:
    """Every setting that is run; of each peer's targets `only` these, where they are given."""
    found = [Setting(OURS, without=mechanism) for mechanism in ("", *(ABLATIONS if ablate else ()))]
    found += [*(Setting(ORACLE, allowed) for allowed in ALLOWED)]
    found += [Setting(CLAIRVOYANT, headroom, window) for headroom in HEADROOMS for window in WINDOWS_SECONDS]
    for peer in peers:
        targets = _full_grid(peer) if full else TARGETS.get(peer, SHARES)
        holds = FULL_HOLDS_SECONDS if full else HOLDS_SECONDS
        found += [
            Setting(peer, float(target), hold, minimum)
            for target in targets
            if only is None or target in only
            for hold in (holds if peer != "static" else (0.0,))
            for minimum in (FULL_MINIMUMS if full and peer != "static" else (1,))
        ]
    return found


def refined(rows: Iterable[Row], tried: Sequence[Setting]) -> list[Setting]:
    """Settings between the neighbours of each peer's cheapest that holds nine tenths of the feasible cells, and of its cheapest
    that holds all; those that were not tried yet."""
    by_name = {(one.policy, one.knob): one for one in tried if one.policy not in (OURS, ORACLE, CLAIRVOYANT)}
    best: dict[tuple[str, bool], Setting] = {}
    for standing in standings(rows):
        setting = by_name.get((standing.policy, standing.knob))
        for enough, whole in ((standing.holds_most, False), (standing.holds_all, True)):
            if setting is not None and enough:
                best.setdefault((setting.policy, whole), setting)
    found = []
    for setting in dict.fromkeys(best.values()):
        for target in _between(setting, tried):
            beside = replace(setting, target=target)
            if (beside.policy, beside.knob) not in by_name:
                found.append(beside)
    return found


def retuned(rows: Iterable[Row], tried: Sequence[Setting]) -> dict[str, list[Setting]]:
    """By feasible cell the thresholds of KEDA's rate between the cheapest that holds it and the next higher one, with each hold."""
    grouped = by_cell(rows)
    found: dict[str, list[Setting]] = {}
    for cell in oracle(grouped):
        for hold in sorted({one.hold_seconds for one in tried if one.policy == "keda-rate"}):
            ran = sorted(
                (one.target, holds(runs))
                for one in tried
                if (one.policy, one.hold_seconds) == ("keda-rate", hold)
                and (runs := grouped.get((one.policy, one.knob), {}).get(cell))
            )
            highest = max((target for target, held in ran if held), default=None)
            if highest is None:
                continue
            above = min((target for target, _ in ran if target > highest), default=HIGHEST + STEP)
            steps = range(1, math.ceil((above - highest) / STEP - 1e-9))
            found.setdefault(cell, []).extend(
                Setting(HINDSIGHT, round(highest + step * STEP, 4), hold) for step in steps
            )
    return found


def _between(setting: Setting, tried: Sequence[Setting]) -> Iterator[float]:
    """Quarters of the way to the next targets below and above with the same hold and minimum."""
    grid = {one.target for one in tried if replace(one, target=setting.target) == setting}
    below = max((target for target in grid if target < setting.target), default=None)
    above = min((target for target in grid if target > setting.target), default=None)
    for neighbour in (below, above):
        if neighbour is not None:
            for quarter in (0.25, 0.5, 0.75):
                yield round(setting.target + quarter * (neighbour - setting.target), 4)


def _full_grid(peer: str) -> tuple[float, ...]:
    special = FULL_TARGETS.get(peer, ())
    if peer in ("static", "keda-queue"):
        return tuple(sorted(special))
    count = round((HIGHEST - LOWEST) / STEP) + 1
    return (*(round(LOWEST + STEP * at, 3) for at in range(count)), *special)
