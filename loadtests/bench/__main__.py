"""`.venv/bin/python -m loadtests.bench`: every policy on the same simulated services; what each costs and holds.

Rows are kept as they come: the same command goes on where it was interrupted, and begins anew for another
configuration.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields as fields_of
from pathlib import Path

from loadtests.bench.cells import MATRIX, Matrix, Simulated, pairs, read_matrix
from loadtests.bench.models import MODELS, read_models
from loadtests.bench.report import markdown
from loadtests.bench.run import (
    IN_FLIGHT,
    ORACLE,
    OURS,
    SIMULATED_PEERS,
    Job,
    Row,
    Setting,
    configuration,
    fields,
    row_of,
    run_job,
)
from loadtests.bench.score import summary
from localcluster.paths import this_python

BATCH = 15
"""Services in one simulated world: so many share the cost of a tick, and a lost batch is not much."""
HOLDS_SECONDS = (60.0, 300.0)
TARGETS = {
    "static": (1, 2, 3, 4, 6, 8, 12, 16, 24, 32),
    "keda-queue": (0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 4, 5),
    **dict.fromkeys(IN_FLIGHT, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0)),
}
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.8, 0.9)
"""Targets of all other peers."""


def settings(peers: Iterable[str], only: Sequence[float] | None = None) -> list[Setting]:
    """Every setting that is run; of each peer's targets `only` these, where they are given."""
    return [
        Setting(ORACLE),
        Setting(OURS),
        *(
            Setting(peer, float(target), hold)
            for peer in peers
            for target in TARGETS.get(peer, SHARES)
            if only is None or target in only
            for hold in (HOLDS_SECONDS if peer != "static" else (0.0,))
        ),
    ]


def known(path: Path, of: str) -> list[Row]:
    """The rows of this configuration so far; a line that was cut off is none."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as lines:
        complete = [line for line in csv.DictReader(lines) if all(line.values())]
    return [row_of(line) for line in complete if line["configuration"] == of]


def jobs(
    wanted: Sequence[Setting],
    of: Sequence[tuple[Simulated, int]],
    rows: Sequence[Row],
    days: int,
    configured: str,
) -> Iterator[Job]:
    """What is left to run, in batches."""
    done = {(row.policy, row.knob, row.cell, row.seed) for row in rows}
    for setting in wanted:
        left = [
            (cell, seed) for cell, seed in of if (setting.policy, setting.knob, cell.name, seed) not in done
        ]
        for start in range(0, len(left), BATCH):
            yield setting, left[start : start + BATCH], days, configured


def main() -> int:
    """Run what is left, then write summary and report."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.bench", description=__doc__)
    parser.add_argument(
        "--models", action="store_true", help="the cells of other service models instead of the matrix"
    )
    parser.add_argument(
        "--cells", type=int, default=24, help="of the matrix or of the models, evenly (default: %(default)s)"
    )
    parser.add_argument("--only", action="append", help="of these cells those with this in their name")
    parser.add_argument("--seeds", type=int, help="for each cell (default: the matrix')")
    parser.add_argument("--history-days", type=int, help="before the scored day (default: the matrix')")
    parser.add_argument("--largest-work", type=float, default=15.0, help="leave out cells of more mean work (default: %(default)s)")  # fmt: skip
    parser.add_argument("--peer", action="append", choices=SIMULATED_PEERS, help="a peer; all without it")
    parser.add_argument(
        "--target", action="append", type=float, help="of each peer's targets; all without it"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="(default: out/bench, of models out/bench-models)")
    options = parser.parse_args()
    try:
        import numba  # noqa: F401
    except ImportError:
        parser.error("numba is missing, and without it this takes days: make bench installs it")
    most = options.largest_work
    matrix: Matrix[Simulated] = (
        read_models(largest_work=most) if options.models else read_matrix(largest_work=most)
    )
    wanted_names = options.only or [""]
    cells = [cell for cell in matrix.subset(options.cells) if any(text in cell.name for text in wanted_names)]
    if not cells:
        parser.error(f"no cell has {' or '.join(wanted_names)} in its name")
    of = pairs(cells, options.seeds or matrix.seeds)
    days = matrix.history_days if options.history_days is None else options.history_days
    configured = f"{configuration(MODELS if options.models else MATRIX)}-{days}d"
    out: Path = options.out or Path("out/bench-models" if options.models else "out/bench")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "runs.csv"
    rows = known(path, configured)
    wanted = settings(options.peer or SIMULATED_PEERS, options.target)
    left = list(jobs(wanted, of, rows, days, configured))
    print(
        f"{len(cells)} cells, {len(of) // len(cells)} seeds, {days} days of history; "
        f"{len(rows)} runs are known, {len(left)} batches left"
    )
    names = [field.name for field in fields_of(Row)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(fields(row) for row in rows)
        file.flush()  # or who interrupts the first batch loses them
        began = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for number, found in enumerate(pool.imap_unordered(run_job, left), 1):
                rows += found
                writer.writerows(fields(row) for row in found)
                file.flush()
                spent = time.monotonic() - began
                rest = spent / number * (len(left) - number)
                print(
                    f"\r{number} of {len(left)} batches, about {rest / 60:.0f} min left ", end="", flush=True
                )
    print()
    whole = summary(rows)
    (out / "summary.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(rows, whole), encoding="utf-8")
    print(json.dumps(whole, indent=2))
    print(f"report: {out / 'report.md'}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with what is left")
        sys.exit(130)
