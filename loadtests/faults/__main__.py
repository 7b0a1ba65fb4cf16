"""`.venv/bin/python -m loadtests.faults`: faults and changes under load, each beside the same run without it."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import defaultdict
from pathlib import Path

from loadtests.faults.play import Outcome, run_job
from loadtests.faults.report import markdown, summary
from loadtests.faults.scenarios import SCENARIOS
from localcluster.paths import this_python


def main(arguments: list[str] | None = None) -> int:
    """Play, and write summary and report. Exit status 1 if something does not hold, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.faults", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="rows with this in their name; repeatable"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each row (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/faults"), help="(default: %(default)s)")
    options = parser.parse_args(arguments)
    texts = options.only or [""]
    numbers = [at for at, row in enumerate(SCENARIOS) if any(text in row.name for text in texts)]
    if not numbers:
        parser.error(f"no row has {' or '.join(texts)} in its name; there are {', '.join(row.name for row in SCENARIOS)}")  # fmt: skip
    if options.seeds < 1 or options.jobs < 1:
        parser.error("--seeds and --jobs are at least 1")
    jobs = [(number, seed) for number in numbers for seed in range(1, options.seeds + 1)]
    options.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Outcome]] = defaultdict(list)
    began = time.monotonic()
    interrupted = False
    try:
        with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
            for done, ((number, _), outcome) in enumerate(pool.imap(run_job, jobs), 1):
                found[SCENARIOS[number].name].append(outcome)
                left = (time.monotonic() - began) / done * (len(jobs) - done)
                print(f"\r{done} of {len(jobs)} runs, about {left / 60:.0f} min left ", end="", file=sys.stderr, flush=True)  # fmt: skip
    except KeyboardInterrupt:
        interrupted = True
    print(file=sys.stderr)
    whole = summary(SCENARIOS, found)
    (options.out / "summary.json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    report = markdown(whole)
    (options.out / "report.md").write_text(report, encoding="utf-8")
    print(report)
    print(f"report: {options.out / 'report.md'}")
    if interrupted:
        print("interrupted: the report holds what was played")
        return 130
    return int(whole["scenarios_held"] < whole["scenarios"])


if __name__ == "__main__":
    sys.exit(main())
