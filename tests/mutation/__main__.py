"""`make mutation`: try what is left of the mutants; then write out/mutation/report.md and summary.json."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from localcluster.interruption import first_only
from localcluster.paths import this_python
from tests.mutation import equivalent
from tests.mutation.outcomes import SURVIVED, Change, Mutant, changes, mutants
from tests.mutation.parts import ENOUGH_RATIO, OUT, PARTS
from tests.mutation.summary import report, summary
from tests.mutation.tree import prepare, state_of_tree

TELL_SECONDS = 10.0


class ToolError(Exception):
    """mutmut could not do its work."""


def main() -> int:
    """Run the command; returns its exit code: 0 if enough were killed, 1 if not, 2 if mutmut failed, 130 if interrupted."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.mutation", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="a part; without it all")
    parser.add_argument("--jobs", type=int, default=2, help="mutants side by side (default: %(default)s)")
    parser.add_argument("--anew", action="store_true", help="forget what is known of these parts")
    parser.add_argument("--report", action="store_true", help="only sum up what is known")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    failed, interrupted = "", False
    try:
        for part in () if options.report else options.only or PARTS:
            if options.anew:
                shutil.rmtree(OUT / part, ignore_errors=True)
            attempt(part, options.jobs)
    except KeyboardInterrupt:
        interrupted = True
    except ToolError as error:
        failed = str(error)
    numbers = written()
    print(f"written: {OUT / 'report.md'}")
    if interrupted:
        print("interrupted; the same command goes on with what is left")
        return 130
    if failed:
        print(failed, file=sys.stderr)
        return 2
    ratio = numbers["killed_ratio"]
    if ratio is None:
        print(f"not every mutant was tried; parts: {', '.join(PARTS)}")
    return int(ratio is None or ratio < ENOUGH_RATIO)


def attempt(part: str, jobs: int) -> None:
    """Try what is left of a part. Raises ToolError, and KeyboardInterrupt once mutmut has ended."""
    tree, log = OUT / part / "tree", OUT / part / "mutmut.log"
    tree.mkdir(parents=True, exist_ok=True)
    prepare(tree, PARTS[part])
    began = _children_seconds()
    command = [str(Path(sys.executable).with_name("mutmut")), "run", f"--max-children={jobs}"]
    environment = {
        **os.environ,
        "HYPOTHESIS_PROFILE": "first-failure",
        "PYTEST_PLUGINS": "tests.mutation.limit",
    }
    with log.open("wb") as words:
        process = subprocess.Popen(
            command, cwd=tree, env=environment, stdout=words, stderr=words, process_group=0
        )
    stopping = threading.Event()

    def stop() -> None:
        stopping.set()
        os.killpg(process.pid, signal.SIGTERM)

    with first_only(stop):
        status = _watched(process, part, tree)
    spent = OUT / part / "cpu_seconds"
    before = float(spent.read_text()) if spent.exists() else 0.0
    spent.write_text(f"{before + _children_seconds() - began:.1f}\n")
    if stopping.is_set():
        raise KeyboardInterrupt
    if status:
        raise ToolError(f"{part}: mutmut ended with {status}; see {log}")


def _watched(process: subprocess.Popen[bytes], part: str, tree: Path) -> int:
    told = ""
    while True:
        try:
            return process.wait(TELL_SECONDS)
        except subprocess.TimeoutExpired:
            of = Counter(mutant.outcome for mutant in mutants(tree))
            lost = sum(of[outcome] for outcome in SURVIVED)
            if (
                line := f"{part}: {of.total() - of['undecided']} of {of.total()} tried, {lost} survived"
            ) != told:
                print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
                told = line


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def written() -> dict[str, Any]:
    """Sum up what is known of all parts, write both files, and return the numbers."""
    outcomes: dict[str, list[str]] = defaultdict(list)
    minutes: dict[str, float] = {}
    by_file: dict[str, float] = {}
    untried, survivors, excused = [], [], []
    excuses: Counter[str] = Counter()
    reasons = equivalent.known()
    for part in PARTS:
        tree, spent = OUT / part / "tree", OUT / part / "cpu_seconds"
        of = list(mutants(tree))
        if not of:
            untried.append(part)
        minutes[part] = float(spent.read_text()) / 60 if spent.exists() else 0.0
        by_file |= shared_out(minutes[part], of)
        for mutant in of:
            outcomes[mutant.file].append(mutant.outcome)
        for mutant, line, change in changes(tree, [mutant for mutant in of if mutant.outcome in SURVIVED]):
            sentence = told(line, change, mutant)
            if change in reasons:
                excuses[mutant.file] += 1
                excused.append(f"{sentence} {reasons[change]}")
            else:
                survivors.append(sentence)
    numbers = summary(state_of_tree(), outcomes, excuses, minutes, by_file, untried)
    (OUT / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n")
    (OUT / "report.md").write_text(report(numbers, survivors, excused))
    print(json.dumps({key: value for key, value in numbers.items() if key != "modules"}))
    return numbers


def shared_out(minutes: float, of: list[Mutant]) -> dict[str, float]:
    """Minutes by file, in proportion to the time that the tests of its mutants took."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for mutant in of:
        seconds[mutant.file] += mutant.seconds
    whole = sum(seconds.values())
    return {file: minutes * part / whole for file, part in seconds.items()} if whole else {}


def told(line: int, change: Change, mutant: Mutant) -> str:
    """A survivor as a line of the report."""
    what = f"`{change.was}` → `{change.became}`" if change.became else f"`{change.was}` left out"
    return (
        f"* `{change.file}:{line}` ({change.function}{', untested' * (mutant.outcome == 'untested')}): {what}"
    )


if __name__ == "__main__":
    sys.exit(main())
