"""The command of the study: draw, judge, and write report and summary."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from loadtests.judge_study.grid import CELLS, CELLS_WITH_FEW, DETECTIONS, DISPERSION, suitable_objective
from loadtests.judge_study.grid import Cell as Service
from loadtests.judge_study.measure import false_promote_together, measure_cell, measure_detection
from loadtests.judge_study.report import render
from loadtests.judge_study.summary import summarise
from localcluster.paths import this_python

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run the study; exit status 0, or 130 after Ctrl-C, which leaves earlier results as they were."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.judge_study", description=__doc__)
    parser.add_argument("--runs", type=_positive, default=4000, help="runs a cell for ours (default 4000)")
    parser.add_argument("--rival-runs", type=_positive, default=1000, help="for other rules (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="of all random numbers (default 1)")
    parser.add_argument("--out", type=Path, default=Path("out/judge-study"), help="where the files go")
    given = parser.parse_args(argv)
    try:
        summary = study(given.seed, given.runs, given.rival_runs)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    report = render(summary)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, text in (("summary.json", json.dumps(summary, indent=2) + "\n"), ("report.md", report)):
        unfinished = given.out / f".{name}"
        unfinished.write_text(text)
        unfinished.replace(given.out / name)
    print(report.split("## Side by side")[0])
    print(f"all of it: {given.out / 'report.md'}, {given.out / 'summary.json'}")
    return 0


def study(
    seed: int, runs: int, rival_runs: int, cells: tuple[Service, ...] = CELLS + CELLS_WITH_FEW
) -> dict[str, Any]:
    """The summary of those cells, telling on the terminal how far it is."""
    began = time.monotonic()
    figures = []
    for number, cell in enumerate(cells):
        figures.append(measure_cell(seed, number, cell, runs, rival_runs))
        _tell(number + 1, len(cells), time.monotonic() - began)
    detections = [measure_detection(seed, number, wanted, runs) for number, wanted in enumerate(DETECTIONS)]
    service = Service(1.0, 5.0, 0.5, suitable_objective(0.5))
    together = {
        "independent": false_promote_together(seed, service, runs, 0.0),
        "overdispersed": false_promote_together(seed, service, runs, DISPERSION),
    }
    return summarise(seed, runs, figures, detections, together)


def _tell(done: int, cells: int, seconds: float) -> None:
    """One line that is written over on a terminal, and every tenth elsewhere."""
    left = seconds / done * (cells - done)
    line = f"{done} of {cells} cells, {seconds:.0f} s, about {left:.0f} s left"
    if sys.stderr.isatty():
        print(f"\r{line}   ", end="\n" if done == cells else "", file=sys.stderr, flush=True)
    elif done % 10 == 0 or done == cells:
        print(line, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return number
