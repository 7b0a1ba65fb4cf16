"""`make campaign`: run everything, or go on where it ended; then write out/campaign/report.md and summary.json."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from localcluster.paths import this_python
from tests.campaign import work
from tests.campaign.plan import Plan
from tests.campaign.replay import replay
from tests.campaign.report import report, summary
from tests.campaign.rig import known_reference, quiet
from tests.campaign.scenarios import SCENARIOS
from tests.mutation.summary import killed_ratio

OUT = work.ROOT / "out" / "campaign"
TELL_SECONDS = 10.0


def main() -> int:
    """Run the command; returns its exit code: 1 if anything failed, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.campaign", description=__doc__)
    parser.add_argument("--only", help=f"classes, separated by commas: {', '.join(work.CLASSES)}")
    parser.add_argument(
        "--limit", type=int, help="at most so many items of each class, drawn over all scenarios"
    )
    parser.add_argument(
        "--mutants", action="store_true", help="only the mutants: which are killed, which survive"
    )
    parser.add_argument("--replay", metavar="PLAN", help="run one plan (JSON) and tell its story")
    parser.add_argument("--jobs", type=int, default=work.JOBS)
    parser.add_argument("--out", type=Path, default=OUT)
    stated = parser.parse_args()
    if stated.replay:
        with quiet():
            print(*replay(Plan.parse(stated.replay)), sep="\n")
        return 0
    only = ("mutants",) if stated.mutants else tuple(stated.only.split(",")) if stated.only else work.CLASSES
    if unknown := set(only) - set(work.CLASSES):
        parser.error(f"--only: {', '.join(sorted(unknown))}: expected some of {', '.join(work.CLASSES)}")
    notes = work.Notes(stated.out)
    with quiet():
        todo = list(work.items(only, stated.limit))
        total = len(todo) if only == work.CLASSES and stated.limit is None else -1
        left = [item for item in todo if item not in notes.done]
        print(f"{len(todo)} items, {len(todo) - len(left)} of them done before")
        interrupted = _run(left, notes, stated.jobs)
        requests = sum(len(known_reference(name).calls) for name in SCENARIOS)
        numbers = summary(notes.lines, total, requests, killed_ratio())
        (stated.out / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n")
        (stated.out / "report.md").write_text(report(notes.lines, numbers))
    print(json.dumps(numbers))
    print(f"written: {stated.out / 'report.md'}")
    if interrupted:
        print("interrupted; the same command goes on")
        return 130
    return int(numbers["invariant_violations"] > 0 or numbers["not_converged"] > 0)


def _run(left: list[work.Item], notes: work.Notes, jobs: int) -> bool:
    began = told = time.monotonic()
    counts: Counter[str] = Counter()
    try:
        for line in work.work(left, jobs):
            notes.add(line)
            counts["done"] += 1
            counts["runs"] += line.get("runs", 0)
            if line.get("problems"):
                print(f"{line['class']}: {line['plan']}\n    {'; '.join(line['problems'])[:500]}", flush=True)
            if line["class"] == "mutants":
                print(
                    f"{'killed' if line['killed'] else 'SURVIVED'} {line['item']}  {line['killed'] or ''}",
                    flush=True,
                )
            now = time.monotonic()
            if now - told > TELL_SECONDS:
                told = now
                rate = counts["runs"] / (now - began)
                print(
                    f"{counts['done']} of {len(left)} items, {rate:.1f} runs/s ({line['class']})", flush=True
                )
    except KeyboardInterrupt:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
