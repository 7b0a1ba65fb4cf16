"""The study's Markdown report: the worst first, then every cell of ours, then the rules side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loadtests.judge_study.grid import FEW
from loadtests.judge_study.measure import Figures
from loadtests.judge_study.summary import WORST

NAMES = {
    "ours": "ours",
    "flagger": "Flagger-like (≥ 99%, threshold 5)",
    "argo": "Argo-like (≥ 95%, failureLimit 3)",
    "peeking_fisher": "Fisher p < 0.05 every minute",
    "mann_whitney": "Mann-Whitney, Kayenta-like",
}
SIDE_BY_SIDE = (
    (1, 10, 0.5),
    (1, 10, 2),
    (10, 10, 0.5),
    (10, 5, 2),
    (100, 5, 1),
    (0.3, 10, 0.5),
    (0.1, 10, 0.5),
)
"""Requests per second, weight in percent and bad requests of stable in percent that all rules are shown at."""


def render(summary: dict[str, Any]) -> str:
    """The whole report."""
    return "\n".join(
        [
            "# Judges of canaries, compared",
            "",
            f"Seed {summary['seed']}; {summary['runs']} runs a cell for ours, "
            f"{summary['rules']['argo'][0]['runs']} for the others; {summary['windows']} windows of "
            f"{summary['window_seconds']:g} s. The standard error of 2.5% in {summary['runs']} runs is "
            f"{100 * (0.025 * 0.975 / summary['runs']) ** 0.5:.2f} points.",
            "",
            "## The worst cell of the grid, by rule",
            "",
            *_worst(summary),
            "",
            "## Bad canaries aborted in time: 1 request per second, 10% weight",
            "",
            *_detections(summary["detections"]),
            "",
            "## Side by side",
            "",
            *_side_by_side(summary["rules"]),
            "",
            "## Ours, every cell",
            "",
            *_every_cell(summary["rules"]["ours"]),
            "",
        ]
    )


def _worst(summary: dict[str, Any]) -> list[str]:
    rows = [
        [NAMES[name], *(_percent(worst.get(key)) for key in WORST), _percent(worst["promoted_least"])]
        for name, worst in summary["worst"].items()
    ]
    rows.append(["*asked of ours*", *(_most(summary["demands"].get(key)) for key in WORST), ""])
    head = [
        "rule",
        "false abort",
        "overdispersed",
        "never promoted",
        "both",
        "false promote",
        "overdispersed",
    ]
    together = summary["false_promote_together"]
    return [
        *_table([*head, "good ones promoted, least"], rows),
        "",
        "Where canary and stable are both unacceptable, the objective alone lets "
        f"{_percent(together['independent'])} pass ({_percent(together['overdispersed'])} overdispersed).",
    ]


def _detections(detections: Sequence[Figures]) -> list[str]:
    head = [
        "bad",
        "stable",
        "within",
        "aborted",
        "asked",
        "promoted",
        "best unbiased test",
        "best, stable known",
    ]
    return _table(
        head,
        [
            [
                f"{figures['bad_percent']:g}%",
                f"{figures['base_percent']:g}%",
                f"{figures['windows']} windows, {figures['requests']} requests",
                _percent(figures["aborted"]),
                _percent(figures["demanded"]),
                _percent(figures["promoted"]),
                _percent(figures["best_unbiased"]),
                _percent(figures["best_known_base"]),
            ]
            for figures in detections
        ],
    )


def _side_by_side(rules: dict[str, list[Figures]]) -> list[str]:
    head = [
        "rule",
        "false abort",
        "overdispersed",
        "promoted",
        "windows",
        "bad: promoted",
        "bad: aborted",
        "windows",
    ]
    lines: list[str] = []
    for where in SIDE_BY_SIDE:
        cells = {name: cell for name, figures in rules.items() for cell in figures if _where(cell) == where}
        if not cells:
            continue
        cell = cells["ours"]
        lines += [
            f"{_service(cell)}, stable {cell['base_percent']:g}% bad; bad canary: {cell['unacceptable_percent']:g}%",
            "",
            *_table(
                head,
                [
                    [
                        NAMES[name],
                        _percent(cell["false_abort"]),
                        _percent(cell["false_abort_overdispersed"]),
                        _percent(cell["promoted"]),
                        _number(cell["median_windows_to_promote"]),
                        _percent(cell["false_promote"]),
                        _percent(cell["aborted"]),
                        _number(cell["median_windows_to_abort"]),
                    ]
                    for name, cell in cells.items()
                ],
            ),
            "",
        ]
    return lines


def _every_cell(figures: Sequence[Figures]) -> list[str]:
    keys = (*WORST, "promoted", "inconclusive", "aborted", "inconclusive_bad")
    head = [
        "service",
        "stable",
        "objective",
        *(key.replace("_", " ") for key in keys),
        "windows to Good",
        "to Bad",
    ]
    rows = [
        [
            _service(cell) + (" (few)" if cell["requests_per_second"] in FEW else ""),
            f"{cell['base_percent']:g}%",
            f"{cell['objective_percent']:g}%",
            *(_percent(cell[key]) for key in keys),
            _number(cell["median_windows_to_promote"]),
            _number(cell["median_windows_to_abort"]),
        ]
        for cell in figures
    ]
    return _table(head, rows)


def _where(cell: Figures) -> tuple[float, float, float]:
    return cell["requests_per_second"], cell["weight_percent"], cell["base_percent"]


def _service(cell: Figures) -> str:
    return f"{cell['requests_per_second']:g} rps, {cell['weight_percent']:g}%"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows)]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def _most(share: float | None) -> str:
    return "" if share is None else f"≤ {_percent(share)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
