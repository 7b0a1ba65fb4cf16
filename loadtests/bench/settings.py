"""The settings that are compared: ours and the oracle, which have none, and each peer's knobs on a grid. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from loadtests.bench.run import IN_FLIGHT, ORACLE, OURS, Row, Setting
from loadtests.bench.score import standings

HOLDS_SECONDS = (60.0, 300.0)
TARGETS = {
    "static": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32),
    "keda-queue": (0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 4, 5),
    **dict.fromkeys(IN_FLIGHT, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0)),
}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
"""Targets of all other peers."""

STEP = 0.025
"""Of targets on the full grid, and around a peer's best."""
LOWEST, HIGHEST = 0.05, 1.0
FULL_HOLDS_SECONDS = (60.0, 120.0, 180.0, 300.0)
FULL_MINIMUMS = (1, 2)
FULL_TARGETS = {
    "static": tuple(range(1, 33)),
    "keda-queue": (*TARGETS["keda-queue"], 0.05, 0.15, 0.25, 0.4, 1.5, 7.5, 10.0),
    **dict.fromkeys(IN_FLIGHT, (1.25, 1.5, 1.75, 2.0)),
}
"""In place of the full grid, of those in flight beside it."""


def settings(peers: Iterable[str], only: Sequence[float] | None = None, full: bool = False) -> list[Setting]:
    """Every setting that is run; of each peer's targets `only` these, where they are given."""
    found = [Setting(ORACLE), Setting(OURS)]
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
    """Settings beside each peer's cheapest that holds nine tenths of the feasible cells; those that were not tried yet."""
    best: dict[str, Setting] = {}
    by_name = {(one.policy, one.knob): one for one in tried if one.policy not in (OURS, ORACLE)}
    for standing in standings(rows):
        setting = by_name.get((standing.policy, standing.knob))
        if setting is not None and standing.holds_most:
            best.setdefault(standing.policy, setting)
    found = []
    for setting in best.values():
        step = 1.0 if setting.policy == "static" else STEP
        for distance in (-2, -1, 1, 2):
            target = round(setting.target + distance * step, 3)
            beside = Setting(setting.policy, target, setting.hold_seconds, setting.min_replicas)
            if target > 0 and (beside.policy, beside.knob) not in by_name:
                found.append(beside)
    return found


def _full_grid(peer: str) -> tuple[float, ...]:
    special = FULL_TARGETS.get(peer, ())
    if peer in ("static", "keda-queue"):
        return tuple(sorted(special))
    count = round((HIGHEST - LOWEST) / STEP) + 1
    return (*(round(LOWEST + STEP * at, 3) for at in range(count)), *special)
