"""All figures of a study as one JSON object; its keys are documented in docs/judge.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loadtests.judge_study.grid import CELLS, DISPERSION, FEW, WINDOW_SECONDS, WINDOWS
from loadtests.judge_study.measure import Figures
from loadtests.judge_study.rules import CHECKS
from serving_operator.judge import comparison, objective

WORST = (
    "false_abort",
    "false_abort_overdispersed",
    "false_abort_unpromoted",
    "false_abort_unpromoted_overdispersed",
    "false_promote",
    "false_promote_overdispersed",
)
"""Of these the largest over the grid is told; few requests are no part of the grid."""
DEMANDS = {
    "false_abort": 0.025,
    "false_abort_unpromoted": 0.025,
    "false_abort_overdispersed": 0.07,
    "false_abort_unpromoted_overdispersed": 0.07,
    "false_promote": 0.05,
}
"""The most of each that ours may have in any cell of the grid."""


def summarise(
    seed: int,
    runs: int,
    cells: Sequence[dict[str, Figures]],
    detections: Sequence[Figures],
    together: dict[str, float],
) -> dict[str, Any]:
    """The figures of all cells, in the grid's order with the cells with few requests last, by rule."""
    rules = {name: [cell[name] for cell in cells] for name in cells[0]}
    return {
        "seed": seed,
        "runs": runs,
        "windows": WINDOWS,
        "checks_of_other_rules": CHECKS,
        "window_seconds": WINDOW_SECONDS,
        "dispersion": DISPERSION,
        "constants": {
            "odds_ratios": list(comparison.ODDS_RATIOS),
            "shares": list(comparison.SHARES),
            "cap_nats": comparison.CAP,
            "bound": comparison.BOUND,
            "looks": comparison.LOOKS,
            "overdispersion": comparison.OVERDISPERSION,
            "spared_requests": comparison.SPARED_REQUESTS,
            "prior_bad": comparison.PRIOR_BAD,
            "prior_requests": comparison.PRIOR_REQUESTS,
            "good_bound": objective.BOUND,
        },
        "rules": rules,
        "worst": {name: worst(figures) for name, figures in rules.items()},
        "demands": DEMANDS,
        "detections": list(detections),
        "false_promote_together": together,
    }


def worst(figures: Sequence[Figures]) -> Figures:
    """The largest of each share over the grid, and the smallest share promoted of good canaries."""
    grid = [cell for cell in figures if cell["requests_per_second"] not in FEW]
    largest = {key: max(cell[key] for cell in grid) for key in WORST if key in grid[0]}
    return {**largest, "promoted_least": min(cell["promoted"] for cell in grid)}


def is_complete(summary: dict[str, Any]) -> bool:
    """Whether every cell of the grid is in it."""
    grid = [cell for cell in summary["rules"]["ours"] if cell["requests_per_second"] not in FEW]
    return len(grid) == len(CELLS)
