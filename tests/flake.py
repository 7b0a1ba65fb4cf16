"""Run the system tests again and again, go on after a failure, and say at the end what failed how often.

Runs of the same commit add up: an interrupted command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.paths import this_python
from tests.ladder import ALIASES, OUT, ROOT, Result, counts, python

FLAKE = ROOT / "out" / "flake"
RUNGS = ALIASES["live"]


@dataclass(frozen=True)
class Run:
    """One run of the rungs."""

    commit: str
    rungs: str
    seconds: float
    passed: int
    failed: list[str]


def state_of_tree() -> str:
    """The commit, and whether anything differs from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return described.stdout.strip()


def known(runs: Path, commit: str, rungs: str) -> list[Run]:
    """The runs of this commit so far; a tree that differs from its commit has none."""
    if not runs.exists() or commit.endswith("-dirty"):
        return []
    found = [Run(**json.loads(line)) for line in runs.read_text().splitlines()]
    return [run for run in found if (run.commit, run.rungs) == (commit, rungs)]


def once(rungs: tuple[str, ...], log: Path) -> tuple[int, list[str]]:
    """Run the rungs; how many tests passed, and the names of those that did not."""
    for rung in rungs:
        (OUT / f"{rung}.xml").unlink(missing_ok=True)
    only = [word for rung in rungs for word in ("--only", rung)]
    with log.open("wb") as words:
        done = subprocess.run(python("tests.ladder", *only), cwd=ROOT, stdout=words, stderr=subprocess.STDOUT)
    result = Result("", 0.0)
    for rung in rungs:
        counts(rung, result)
    failed = result.failed
    if done.returncode and not failed:
        failed = ["the ladder itself"]
    return result.passed, failed


def summary(commit: str, rungs: str, runs: list[Run]) -> dict[str, object]:
    """What `out/flake/summary.json` holds: counts over all runs, and how often each test failed."""
    failures = Counter(name for run in runs for name in run.failed)
    return {
        "commit": commit,
        "rungs": rungs,
        "runs": len(runs),
        "runs_clean": sum(not run.failed for run in runs),
        "tests_passed": sum(run.passed for run in runs),
        "failures": dict(failures.most_common()),
        "seconds_median": sorted(run.seconds for run in runs)[len(runs) // 2] if runs else None,
    }


def main() -> int:
    """Run until there are so many runs; the exit code says whether all were clean."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.flake", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many in all (default: %(default)s)")
    parser.add_argument(
        "--only", action="append", choices=RUNGS, help=f"a rung; without it {', '.join(RUNGS)}"
    )
    options = parser.parse_args()
    rungs = tuple(options.only or RUNGS)
    FLAKE.mkdir(parents=True, exist_ok=True)
    commit, path = state_of_tree(), FLAKE / "runs.jsonl"
    runs = known(path, commit, " ".join(rungs))
    if runs:
        print(f"{len(runs)} runs of {commit} are known already")
    while len(runs) < options.runs:
        number = len(runs) + 1
        began = time.monotonic()
        passed, failed = once(rungs, FLAKE / f"run-{number}.log")
        runs.append(Run(commit, " ".join(rungs), round(time.monotonic() - began, 1), passed, failed))
        with path.open("a") as lines:
            lines.write(json.dumps(asdict(runs[-1])) + "\n")
        said = f"failed: {', '.join(failed)} (see {FLAKE}/run-{number}.log)" if failed else "clean"
        print(
            f"run {number} of {options.runs}: {runs[-1].seconds:.0f} s, {passed} passed, {said}", flush=True
        )
    whole = summary(commit, " ".join(rungs), runs)
    (FLAKE / "summary.json").write_text(json.dumps(whole, indent=2) + "\n")
    print(json.dumps(whole, indent=2))
    return 0 if whole["runs_clean"] == len(runs) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with the next run")
        sys.exit(130)
