"""`make campaign`: run everything, or go on where it ended; then write out/campaign/report.md and summary.json."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localcluster.paths import this_python
from localcluster.progress import Progress
from localcluster.versions import KUBERNETES
from tests.campaign import work
from tests.campaign.backing import in_memory
from tests.campaign.plan import Plan
from tests.campaign.real.backing import OnServer
from tests.campaign.real.connection import Address
from tests.campaign.real.server import NotStartedError, running
from tests.campaign.replay import replay
from tests.campaign.report import report, summary
from tests.campaign.rig import known_reference, quiet
from tests.campaign.scenarios import SCENARIOS
from tests.mutation.summary import killed_ratio
from tests.mutation.tree import state_of_tree

OUT = work.ROOT / "out" / "campaign"
TELL_SECONDS = 10.0
REAL_PERCENT = 5.0
MUTANTS_MISSED = 0.1


def main() -> int:
    """Run the command; returns its exit code: 1 if anything failed or too many mutants survived, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.campaign", description=__doc__)
    parser.add_argument("--only", help=f"classes, separated by commas: {', '.join(work.CLASSES)}")
    parser.add_argument(
        "--limit", type=int, help="at most so many items of each class, drawn over all scenarios"
    )
    parser.add_argument(
        "--mutants", action="store_true", help="only the mutants: which are killed, which survive"
    )
    parser.add_argument("--replay", metavar="PLAN", help="run one plan (JSON) and tell its story")
    parser.add_argument(
        "--real-api",
        metavar="PERCENT",
        type=float,
        nargs="?",
        const=REAL_PERCENT,
        help=f"start a real API server; on it run all crashes, PERCENT ({REAL_PERCENT:g}) of each other class, or "
        "the plan of --replay",
    )
    parser.add_argument("--jobs", type=int, default=work.JOBS)
    parser.add_argument("--out", type=Path, default=OUT)
    stated = parser.parse_args()
    is_real = stated.real_api is not None
    if is_real and not 0 <= stated.real_api <= 100:
        parser.error(f"--real-api: {stated.real_api:g}: expected a percentage, 0 to 100")
    if stated.replay:
        with quiet(), _server(stated.out, is_real) as server:
            print(*replay(Plan.parse(stated.replay), OnServer(server) if server else in_memory), sep="\n")
        return 0
    only = ("mutants",) if stated.mutants else tuple(stated.only.split(",")) if stated.only else work.CLASSES
    if unknown := set(only) - set(work.CLASSES):
        parser.error(f"--only: {', '.join(sorted(unknown))}: expected some of {', '.join(work.CLASSES)}")
    notes = work.Notes(stated.out)
    with quiet():
        todo = list(work.items(only, stated.limit, stated.real_api))
        total = len(todo) if only == work.CLASSES and stated.limit is None else -1
        left = [item for item in todo if not notes.has(item)]
        print(f"{len(todo)} items, {len(todo) - len(left)} of them done before")
        with _server(stated.out, any(item.on == work.REAL for item in left)) as server:
            interrupted = _run(left, notes, stated.jobs, server)
        requests = sum(len(known_reference(name).calls) for name in SCENARIOS)
        told = {
            "code": work.digest(),
            "commit": state_of_tree(),
            "kubernetes": KUBERNETES if any(line["on"] == work.REAL for line in notes.lines) else None,
        }
        numbers = summary(notes.lines, total, requests, killed_ratio(), told)
        (stated.out / "summary.json").write_text(json.dumps(numbers, indent=2) + "\n")
        (stated.out / "report.md").write_text(report(notes.lines, numbers))
    print(json.dumps(numbers))
    print(f"written: {stated.out / 'report.md'}")
    if interrupted:
        print("interrupted; the same command goes on")
        return 130
    survived = numbers["mutants"] - numbers["mutants_killed"]
    is_blind = survived > MUTANTS_MISSED * numbers["mutants"]
    return int(numbers["invariant_violations"] > 0 or numbers["not_converged"] > 0 or is_blind)


@contextmanager
def _server(out: Path, wanted: bool) -> Iterator[Address | None]:
    if not wanted:
        yield None
        return
    with running(out / "api-server", Progress()) as server:
        yield server


def _run(left: list[work.Item], notes: work.Notes, jobs: int, server: Address | None) -> bool:
    began = told = time.monotonic()
    counts: Counter[str] = Counter()
    try:
        for line in work.work(left, jobs, server):
            notes.add(line)
            counts["done"] += 1
            counts["runs"] += line.get("runs", 0)
            if line.get("problems"):
                print(
                    f"{line['class']} on {line['on']}: {line['plan']}\n    {'; '.join(line['problems'])[:500]}",
                    flush=True,
                )
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
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on")
        sys.exit(130)
    except NotStartedError as error:
        sys.exit(str(error))
