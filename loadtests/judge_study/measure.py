"""What each judge does in a cell: shares of runs, and how long it took."""

from __future__ import annotations

from typing import Any

import numpy as np

from loadtests.judge_study.fisher import best_power, best_unbiased_power
from loadtests.judge_study.grid import DISPERSION, WINDOW_SECONDS, Cell, Detection, draw
from loadtests.judge_study.rules import NEVER, RULES, Ending, ours
from serving_operator.judge.comparison import Counts
from serving_operator.judge.objective import log_likelihood_ratios

Figures = dict[str, Any]

LEVEL = 0.025
"""Share of good canaries that may be aborted."""
DEMANDED = 0.9
"""Share of the bad canaries of a detection that are to be aborted in time."""


def measure_cell(seed: int, number: int, cell: Cell, runs: int, rival_runs: int) -> dict[str, Figures]:
    """Figures per rule, shares from 0 to 1. Every cell has its own stream: it does not depend on the others.

    All rules see the same windows; ours, which costs least and is held to the smallest shares, sees more runs.
    """
    random = np.random.default_rng([seed, number])
    limits = cell.limits
    scenarios = {
        "good": draw(random, cell, cell.base_ratio, runs),
        "dispersed": draw(random, cell, cell.base_ratio, runs, dispersion=DISPERSION),
        "bad": draw(random, cell, limits.unacceptable_ratio, runs),
        "bad_dispersed": draw(random, cell, limits.unacceptable_ratio, runs, dispersion=DISPERSION),
    }
    figures: dict[str, Figures] = {}
    for name, rule in RULES.items():
        seen = runs if rule is ours else min(runs, rival_runs)
        endings = {
            scenario: rule(Counts(*(column[:, :seen] for column in counts)), limits)
            for scenario, counts in scenarios.items()
        }
        figures[name] = _figures(cell, seen, endings)
        if rule is ours:
            # The harder question: a step that never ends by promotion, and an objective that says nothing.
            figures[name]["false_abort_unpromoted"] = _share(endings["good"].bad_at < NEVER)
            figures[name]["false_abort_unpromoted_overdispersed"] = _share(
                endings["dispersed"].bad_at < NEVER
            )
    return figures


def measure_detection(seed: int, number: int, wanted: Detection, runs: int) -> Figures:
    """How often ours aborts in time, beside what the best test of that many requests could do."""
    random = np.random.default_rng([seed, 1_000_000 + number])
    cell, bad_ratio = wanted.cell, wanted.bad_percent / 100
    ending = ours(draw(random, cell, bad_ratio, runs, windows=wanted.windows), cell.limits)
    of_all = round(wanted.requests_per_second * WINDOW_SECONDS * wanted.windows)
    requests = round(of_all * wanted.weight_percent / 100)
    return {
        "bad_percent": wanted.bad_percent,
        "base_percent": wanted.base_percent,
        "windows": wanted.windows,
        "requests": requests,
        "runs": runs,
        "aborted": _share(ending.aborted),
        "promoted": _share(ending.promoted),
        "demanded": DEMANDED,
        "best_known_base": best_power(requests, cell.base_ratio, bad_ratio, LEVEL),
        "best_unbiased": best_unbiased_power(requests, of_all - requests, cell.base_ratio, bad_ratio, LEVEL),
    }


def false_promote_together(seed: int, cell: Cell, runs: int, dispersion: float) -> float:
    """Share said good enough by the objective alone where canary and stable are both unacceptable."""
    random = np.random.default_rng([seed, 2_000_000])
    ratio = cell.limits.unacceptable_ratio
    both = Cell(cell.requests_per_second, cell.weight_percent, 100 * ratio, cell.objective_percent)
    paths = log_likelihood_ratios(draw(random, both, ratio, runs, dispersion=dispersion), cell.limits)
    return _share((paths >= np.log(20)).any(axis=0))


def _figures(cell: Cell, runs: int, endings: dict[str, Ending]) -> Figures:
    good, bad = endings["good"], endings["bad"]
    return {
        "requests_per_second": cell.requests_per_second,
        "weight_percent": cell.weight_percent,
        "base_percent": cell.base_percent,
        "objective_percent": cell.objective_percent,
        "unacceptable_percent": 100 * cell.limits.unacceptable_ratio,
        "runs": runs,
        "false_abort": _share(good.aborted),
        "false_abort_overdispersed": _share(endings["dispersed"].aborted),
        "false_promote": _share(bad.promoted),
        "false_promote_overdispersed": _share(endings["bad_dispersed"].promoted),
        "promoted": _share(good.promoted),
        "promoted_overdispersed": _share(endings["dispersed"].promoted),
        "aborted": _share(bad.aborted),
        "median_windows_to_promote": _median(good.good_at[good.promoted]),
        "median_windows_to_abort": _median(bad.bad_at[bad.aborted]),
        "inconclusive": _share(~good.aborted & ~good.promoted),
        "inconclusive_bad": _share(~bad.aborted & ~bad.promoted),
    }


def _share(which: Any) -> float:
    return float(np.mean(which))


def _median(windows: Any) -> float | None:
    """The median over the runs that came to the right verdict; None if none did."""
    return float(np.median(windows)) if len(windows) else None
