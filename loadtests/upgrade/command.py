"""The command: another release of the programs under a canary at half the traffic, and back."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import Any

from loadtests.upgrade.course import markdown, shortcomings
from loadtests.upgrade.play import StuckError, play
from loadtests.upgrade.releases import NoReleaseError, environment, name_of, releases
from localcluster import running, up
from localcluster.cli import EXPECTED
from localcluster.cluster import NodeCapacity
from localcluster.interruption import cancellable, first_only, ignore
from localcluster.paths import this_python
from localcluster.progress import Progress

NODE = NodeCapacity(cpu="8", memory="16Gi", gpus=0)


def main(arguments: list[str] | None = None) -> int:
    """Run; exit status 0 if nothing was noticed of the change, 1 if something was, 130 after SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m loadtests.upgrade", description=__doc__)
    parser.add_argument(
        "--from",
        dest="commit",
        metavar="COMMIT",
        default="HEAD",
        help="tag or commit of the other release; the present one is this folder (default: %(default)s)",
    )
    parser.add_argument(
        "--run-dir", type=Path, default=Path("out/upgrade-cluster"), help="the cluster's files"
    )
    parser.add_argument("--out", type=Path, default=Path("out/upgrade"), help="where the report goes")
    given = parser.parse_args(arguments)
    run_dir, out = given.run_dir.resolve(), given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    progress = Progress()
    with first_only():
        try:
            summary = _summary(given.commit, run_dir, out, progress)
        except (NoReleaseError, StuckError, *EXPECTED) as error:
            progress.say(f"error: {error}")
            return 1
        except (KeyboardInterrupt, asyncio.CancelledError):
            progress.say("interrupted")
            return 130
        finally:
            ignore()
            running.stop(run_dir, progress)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    report = markdown(summary)
    (out / "report.md").write_text(report, encoding="utf-8")
    print(report)
    progress.say(f"report: {out / 'report.md'}")
    return int(bool(summary["shortcomings"]))


def _summary(commit: str, run_dir: Path, out: Path, progress: Progress) -> dict[str, Any]:
    other, present = releases(commit, out)
    os.environ |= environment(other, present)
    running.stop(run_dir, progress)
    cluster = up.start(run_dir, NODE, progress)
    courses, requests, bad = asyncio.run(cancellable(play(cluster, other, present, progress)))
    summary: dict[str, Any] = {
        "from": name_of(commit),
        "present": name_of("HEAD"),
        "courses": [course.figures() for course in courses],
        "requests": requests,
        "not_2xx": bad,
    }
    return summary | {"shortcomings": shortcomings(summary)}
