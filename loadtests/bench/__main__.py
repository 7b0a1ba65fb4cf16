"""`.venv/bin/python -m loadtests.bench`: every policy on the same simulated services; what each costs and holds.

Rows are kept as they come: the same command goes on where it was interrupted, and begins anew for another
configuration.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from loadtests.bench.cells import HEADLINE, MATRIX, Matrix, Simulated, fitting, pairs, read_matrix
from loadtests.bench.job import Job, Pair, run_job
from loadtests.bench.models import MODELS, read_models
from loadtests.bench.plots import cost_over_bound, pareto
from loadtests.bench.report import markdown
from loadtests.bench.rows import append, extra_of, file_of, files_in, is_extra, known, with_bounds, write
from loadtests.bench.run import (
    CLAIRVOYANT,
    OURS,
    SIMULATED_PEERS,
    Row,
    Setting,
    configuration,
)
from loadtests.bench.score import summary
from loadtests.bench.settings import refined, settings
from loadtests.bench.settings import retuned as retuned_settings
from loadtests.bench.timeline import timeline
from loadtests.traces.table import TraceError
from localcluster.paths import this_python

BATCH = 15
"""Services in one simulated world: so many share the cost of a tick, and a lost batch is not much."""

LARGEST_WORK = 15.0
"""Of a cell, unless all are run: one of 100 takes as long as ten others."""


def jobs(
    wanted: Sequence[Setting], of: Sequence[Pair], rows: Sequence[Row], days: int, configured: str
) -> Iterator[Job]:
    """What is left to run: ours and whatever needs a Prometheus in batches, of the rest all settings of a cell and seed."""
    done = {(row.policy, row.knob, row.cell, row.seed) for row in rows}

    def left(setting: Setting, pair: Pair) -> bool:
        return (setting.policy, setting.knob, pair[0].name, pair[1]) not in done

    for setting in wanted:
        if setting.policy == CLAIRVOYANT:
            continue  # it has to know the arrivals
        pairs = [pair for pair in of if left(setting, pair) and (setting.policy == OURS or not pair[0].alone)]
        for start in range(0, len(pairs), BATCH):
            yield Job([setting], pairs[start : start + BATCH], days, configured)
    for pair in of:
        settings_left = [one for one in wanted if one.policy != OURS and pair[0].alone and left(one, pair)]
        if settings_left:
            yield Job(settings_left, [pair], days, configured)


def run_all(left: Sequence[Job], rows: list[Row], path: Path, processes: int) -> None:
    """Run the jobs, and add their rows here and to the file as they come."""
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for number, found in enumerate(pool.imap_unordered(run_job, left), 1):
            rows += found
            append(path, found)
            rest = (time.monotonic() - began) / number * (len(left) - number)
            print(f"\r{number} of {len(left)} batches, about {rest / 60:.0f} min left ", end="", flush=True)
    print()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is left, then write summary, report and pictures."""
    parser = _arguments()
    options = parser.parse_args(arguments)
    try:
        import numba  # noqa: F401
    except ImportError:
        parser.error("numba is missing, and without it this takes days: make bench installs it")
    matrix = _matrix(options, parser)
    wanted_names = options.only or [""]
    count = len(matrix.cells) if options.full or options.headline else options.cells
    cells = [cell for cell in matrix.subset(count) if any(text in cell.name for text in wanted_names)]
    if not cells:
        parser.error(f"no cell has {' or '.join(wanted_names)} in its name")
    of = pairs(cells, options.seeds or matrix.seeds, options.first_seed)
    days = matrix.history_days if options.history_days is None else options.history_days
    cells_of, usual_out = _cells_of(options)
    configured = f"{configuration(cells_of, options.traces)}-{days}d"
    out: Path = options.out or usual_out
    out.mkdir(parents=True, exist_ok=True)
    shard: tuple[int, int] | None = options.shard
    path = out / file_of(shard)
    rows = known((path, extra_of(path)) if shard else files_in(out), configured)
    tried = settings(
        [] if options.headline or options.ablate else options.peer or SIMULATED_PEERS,
        options.target,
        options.full,
        options.ablate,
    )
    # Rows that are known are kept in the one file before any is added: who interrupts loses none.
    write(path, rows)
    if shard is not None:
        of = of[shard[0] - 1 :: shard[1]]

    def finish(what: str, left: Sequence[Job]) -> None:
        print(f"{what}: {len(rows)} runs are known, {len(left)} batches left")
        if left:
            run_all(left, rows, path, options.jobs)

    print(f"{len(cells)} cells, {len(of)} runs of each of {len(tried)} settings, {days} days of history")
    finish("all settings", list(jobs(tried, of, rows, days, configured)))
    if not (options.full or options.headline or shard or options.target or options.ablate):
        finish("beside the best", list(jobs(refined(rows, tried), of, rows, days, configured)))
        retuned_by_cell = retuned_settings(rows, tried)
        finish(
            "KEDA in hindsight",
            [
                job
                for pair in of
                for job in jobs(retuned_by_cell.get(pair[0].name, ()), [pair], rows, days, configured)
            ],
        )
    if shard is not None:
        print(f"rows: {path}; put the files of all shards into one folder and run without --shard")
        return 0
    write(path, with_bounds(rows))
    asked = {(cell.name, seed) for cell, seed in of}
    rows = [row for row in rows if (row.cell, row.seed) in asked]
    drawn = cells[: options.timelines]
    if drawn:
        print(f"drawing {len(drawn)} of the cells' days")
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            pages = pool.starmap(timeline, [(cell, options.first_seed, days) for cell in drawn])
        for number, page in enumerate(pages, 1):
            (out / f"timeline-{number}.html").write_text(page, encoding="utf-8")
    return _conclude(rows, out)


def _conclude(rows: Sequence[Row], out: Path) -> int:
    extra = [row for row in rows if is_extra(row)]
    rows = [row for row in rows if not is_extra(row)]
    whole = summary(rows, extra)
    (out / "summary.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    (out / "report.md").write_text(markdown(rows, whole, extra), encoding="utf-8")
    (out / "pareto.svg").write_text(pareto(rows), encoding="utf-8")
    (out / "cost-over-bound.svg").write_text(cost_over_bound(rows), encoding="utf-8")
    print(json.dumps(whole, indent=2))
    print(f"report: {out / 'report.md'}")
    return 0


def _cells_of(options: argparse.Namespace) -> tuple[Path, Path]:
    """The file of the cells, and the usual folder of what is found."""
    if options.models:
        return MODELS, Path("out/bench-models")
    return (HEADLINE, Path("out/bench-headline")) if options.headline else (MATRIX, Path("out/bench"))


def _matrix(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Matrix[Simulated]:
    largest_work = options.largest_work or (math.inf if options.full else LARGEST_WORK)
    if options.models:
        return read_models(largest_work=largest_work)
    cells_of, _ = _cells_of(options)
    recorded: Sequence[tuple[str, str]] = ()
    if options.traces is not None:
        days = read_matrix(cells_of).history_days if options.history_days is None else options.history_days
        try:
            recorded, left_out = fitting(options.traces, days + 1)
        except TraceError as error:
            parser.error(str(error))
        for reason in left_out:
            print(f"left out: {reason}")
    return read_matrix(cells_of, largest_work, recorded)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.bench", description=__doc__)
    cells = parser.add_mutually_exclusive_group()
    cells.add_argument(
        "--models", action="store_true", help="the cells of other service models instead of the matrix"
    )
    cells.add_argument(
        "--headline", action="store_true", help="the cells of headline.toml, all of them and without peers"
    )
    parser.add_argument("--traces", type=Path, metavar="DIR", help="recorded traces beside the embedded ones, eight at most")  # fmt: skip
    parser.add_argument(
        "--cells", type=int, default=24, help="of the matrix or of the models, evenly (default: %(default)s)"
    )
    parser.add_argument("--full", action="store_true", help="all cells, and peers on the whole grid: days")
    parser.add_argument(
        "--ablate",
        action="store_true",
        help="ours without each of its mechanisms in place of peers (extra.csv)",
    )
    parser.add_argument("--shard", type=_shard, metavar="K/N", help="the K-th of N parts, for as many machines")  # fmt: skip
    parser.add_argument("--only", action="append", help="of these cells those with this in their name")
    parser.add_argument("--seeds", type=int, help="for each cell (default: the matrix')")
    parser.add_argument("--first-seed", type=int, default=0, help="of each cell (default: %(default)s)")
    parser.add_argument("--history-days", type=int, help="before the scored day (default: the matrix')")
    parser.add_argument("--largest-work", type=float, help="leave out cells of more mean work (default: 15; with --full none)")  # fmt: skip
    parser.add_argument("--peer", action="append", choices=SIMULATED_PEERS, help="a peer; all without it")
    parser.add_argument(
        "--target", action="append", type=float, help="of each peer's targets; all without it"
    )
    parser.add_argument("--timelines", type=int, default=2, metavar="N", help="draw a day of so many cells (default: %(default)s)")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="(default: out/bench, out/bench-models, out/bench-headline)")
    return parser


def _shard(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    try:
        number, of = int(part), int(parts)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not like 2/4") from None
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"{text}: there are parts 1 to {of}")
    return number, of


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on with what is left")
        sys.exit(130)
