"""Run the rungs of the test ladder in order, time each, and say at the end what passed, failed and was skipped."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.interruption import first_only, ignore
from localcluster.paths import this_python

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out" / "test"
RUN_DIR = ROOT / "out" / "test-cluster"
RUNGS = ("lint", "types", "unit", "contract", "system", "disruptive")
PATIENCE_SECONDS = 60.0
"""How long what is interrupted may tidy up."""
SIDE_BY_SIDE = 8  # system tests mostly wait: for probes, leases, soaks
ALIASES = {"check": ("lint", "types", "unit"), "system": ("system", "disruptive")}


@dataclass
class Result:
    """What one rung did."""

    rung: str
    seconds: float
    failed_steps: list[str] = field(default_factory=list)
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)


def python(*arguments: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, "-m", *arguments]


def pytest(rung: str, *arguments: str) -> list[str]:
    """A pytest run that leaves its counts behind."""
    return python("pytest", "-q", f"--junitxml={OUT / rung}.xml", *arguments)


STEPS: dict[str, list[list[str]]] = {
    "lint": [
        python("ruff", "check", "."),
        python("ruff", "format", "--check", "."),
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"],
        python("serving_api.crd", "--check"),
        [sys.executable, "manifests/dashboards/build.py", "--check"],
    ],
    "types": [python("mypy")],
    "unit": [pytest("unit", "-m", "not system and not real_api", "-n", "2", "tests")],
    "contract": [pytest("contract", "-m", "real_api", "tests")],
    "system": [
        # One test at a time to each worker: the long ones begin first, and none waits behind another.
        pytest(
            "system", "-m", "system and not disruptive", "-n", str(SIDE_BY_SIDE), "--maxschedchunk=1", "tests"
        )
    ],
    "disruptive": [pytest("disruptive", "-m", "system and disruptive", "tests")],
}
NEEDS_CLUSTER = ("contract", "system", "disruptive")


def counts(rung: str, result: Result) -> None:
    """Add what pytest reported for a rung."""
    report = OUT / f"{rung}.xml"
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skip = case.find("skipped")
        if skip is not None:
            result.skipped.append(f"{name}: {skip.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            result.failed += 1
        else:
            result.passed += 1


def step(command: list[str]) -> int:
    """Run one command and return its exit status; interrupted, end it and all that it started.

    Its process group is its own, so that a Ctrl-C reaches it once, from here: a second one would cut its tidying up short.
    """
    with subprocess.Popen(command, cwd=ROOT, process_group=0) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            raise


def run(rung: str) -> Result:
    """Run the steps of one rung; all of them, so that one run shows everything that is wrong."""
    print(f"\n=== {rung}", flush=True)
    (OUT / f"{rung}.xml").unlink(missing_ok=True)
    began = time.monotonic()
    failed = [" ".join(command[1:4]) for command in STEPS[rung] if step(command) != 0]
    result = Result(rung, time.monotonic() - began, failed)
    counts(rung, result)
    return result


def cluster(verb: str) -> None:
    """Start or stop the local cluster that contract and system tests share."""
    print(f"\n=== local cluster {verb}", flush=True)
    status = step(python("localcluster", verb, "--run-dir", str(RUN_DIR)))
    if verb == "up" and status != 0:
        raise SystemExit(status)


def climb(wanted: list[str]) -> list[Result]:
    """Run the rungs, with the local cluster up from the first that needs it to the end, however that comes."""
    results = []
    up = False
    with first_only():
        try:
            for rung in wanted:
                if rung in NEEDS_CLUSTER and not up:
                    began = time.monotonic()
                    up = True
                    cluster("up")
                    results.append(Result("cluster up", time.monotonic() - began))
                results.append(run(rung))
        finally:
            if up:
                ignore()
                cluster("down")
    return results


def main() -> int:
    """Run what was asked; the exit code says whether all of it passed."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.ladder", description=__doc__)
    parser.add_argument("--only", action="append", choices=[*RUNGS, *ALIASES], help="a rung; all if absent")
    options = parser.parse_args()
    wanted = [
        rung
        for name in options.only or RUNGS
        for rung in (ALIASES.get(name, (name,)) if options.only else (name,))
    ]
    OUT.mkdir(parents=True, exist_ok=True)
    os.environ["SERVING_TEST_RUN_DIR"] = str(RUN_DIR)
    try:
        results = climb(wanted)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    print("\nrung          seconds  passed  failed  skipped")
    for result in results:
        print(
            f"{result.rung:<12} {result.seconds:8.1f} {result.passed:7d} {result.failed:7d} {len(result.skipped):8d}"
        )
    for result in results:
        for step in result.failed_steps:
            print(f"failed: {result.rung}: {step}")
    passed, failed = sum(r.passed for r in results), sum(r.failed for r in results)
    skipped = [line for result in results for line in result.skipped]
    for line in skipped:
        print(f"skipped: {line}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if any(result.failed_steps for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
