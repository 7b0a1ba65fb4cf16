"""Run the rungs of the test ladder in order, time each, and say at the end what passed, failed and was skipped."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.interruption import first_only, ignore
from localcluster.paths import this_python
from tests import clusters

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out" / "test"
RUN_DIR = ROOT / "out" / "test-cluster"
RUNGS = ("lint", "types", "unit", "programs", "downloads", "contract", "system", "disruptive")
BACKGROUND = ("disruptive", "programs")
"""Run beside all others: they mostly wait. The first on clusters of its own, for it takes away what the others need."""
CLUSTERS = {"system": 1, "disruptive": 2}
"""How many a rung has: each worker of the second takes its own apart."""
PATIENCE_SECONDS = 60.0
"""How long what is interrupted may tidy up."""
SIDE_BY_SIDE = 12  # system tests mostly wait: for probes, leases, soaks
ALIASES = {"check": ("lint", "types", "quick", "programs"), "live": ("system", "disruptive")}


@dataclass
class Result:
    """What one rung did."""

    rung: str
    seconds: float
    failed_steps: list[str] = field(default_factory=list)
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    """Figures that tests recorded as the property `saw`."""


def python(*arguments: str) -> list[str]:
    """A command line of this interpreter."""
    return [sys.executable, "-m", *arguments]


def pytest(rung: str, *arguments: str) -> list[str]:
    """A pytest run that leaves its counts behind."""
    return python("pytest", "-q", f"--junitxml={OUT / rung}.xml", *arguments)


LIVE = ("tests/system", "tests/localcluster")
"""Where tests of the rungs on a cluster are: of the rest none need be read, by every worker anew."""
UNIT = "not system and not real_api"
PROGRAMS = "tests/operator/shell"
"""Where whole programs run against the fake API server, and are waited for."""
STEPS: dict[str, list[list[str]]] = {
    "lint": [
        python("ruff", "check", "."),
        python("ruff", "format", "--check", "."),
        [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"],
        python("serving_api.crd", "--check"),
        python("manifests.dashboards.build", "--check"),
        [sys.executable, "manifests/prometheus/monitors.py", "--check"],
        [sys.executable, "manifests/helm/chart.py", "--check"],
        python("mkdocs", "build"),
    ],
    "types": [python("mypy")],
    "unit": [pytest("unit", "-m", UNIT, "-n", "2", f"--ignore={PROGRAMS}", "tests")],
    "quick": [pytest("quick", "-m", f"{UNIT} and not thorough", "-n", "2", f"--ignore={PROGRAMS}", "tests")],
    "programs": [pytest("programs", "-n", "4", PROGRAMS)],
    "downloads": [["make", "--no-print-directory", "downloader"]],
    "contract": [pytest("contract", "-m", "real_api", "tests/contract", "tests/campaign/test_real_api.py")],
    "system": [
        # One test at a time to each worker: the long ones begin first, and none waits behind another.
        pytest(
            "system",
            "-m",
            "system and not disruptive",
            "-n",
            str(SIDE_BY_SIDE),
            "--maxschedchunk=1",
            *LIVE,
        )
    ],
    "disruptive": [
        pytest(
            "disruptive",
            "-m",
            "system and disruptive",
            "-n",
            str(CLUSTERS["disruptive"]),
            "--maxschedchunk=1",
            *LIVE,
        )
    ],
}
NEEDS_CLUSTER = ("contract", "system")


def counts(report: Path, result: Result) -> None:
    """Add what pytest reported."""
    if not report.exists():
        return
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        result.seen += [f"{case.get('name')}: {seen.get('value')}" for seen in case.iter("property")]
        skip = case.find("skipped")
        if skip is not None:
            result.skipped.append(f"{name}: {skip.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            result.failed.append(name)
        else:
            result.passed += 1


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started, with time to tidy up.

    Its process group is its own, so that a Ctrl-C reaches it once, from here: a second one would cut the tidying short.
    """
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def step(command: list[str]) -> int:
    """Run one command and return its exit status; interrupted, end it and all that it started."""
    with subprocess.Popen(command, cwd=ROOT, process_group=0) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            interrupt(process)
            raise


def run(rung: str) -> Result:
    """Run the steps of one rung; all of them, so that one run shows everything that is wrong."""
    print(f"\n=== {rung}", flush=True)
    (OUT / f"{rung}.xml").unlink(missing_ok=True)
    began = time.monotonic()
    failed = [" ".join(command[1:4]) for command in STEPS[rung] if step(command) != 0]
    result = Result(rung, time.monotonic() - began, failed)
    counts(OUT / f"{rung}.xml", result)
    return result


class Background:
    """A rung that runs while others do; its words are printed when it is waited for."""

    def __init__(self, rung: str, run_dirs: Sequence[Path]) -> None:
        (OUT / f"{rung}.xml").unlink(missing_ok=True)
        self._rung = rung
        self._log = OUT / f"{rung}.log"
        self._began = time.time()
        with self._log.open("wb") as log:
            (command,) = STEPS[rung]
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **clusters.environment(run_dirs)},
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    def result(self) -> Result:
        """Wait for its end, and say what it did."""
        print(f"\n=== {self._rung} (in the background so far)", flush=True)
        failed = [" ".join(STEPS[self._rung][0][1:4])] if self._process.wait() else []
        print(self._log.read_text(), end="", flush=True)
        seconds = self._log.stat().st_mtime - self._began  # its last words came at its end, perhaps long ago
        result = Result(self._rung, seconds, failed)
        counts(OUT / f"{self._rung}.xml", result)
        return result

    def stop(self) -> None:
        """End it if it still runs: something else has ended the ladder."""
        if self._process.poll() is None:
            interrupt(self._process)


def cluster(verb: str, run_dir: Path) -> None:
    """Start or stop a local cluster."""
    print(f"\n=== local cluster {verb}: {run_dir.name}", flush=True)
    status = step(python("localcluster", verb, "--run-dir", str(run_dir)))
    if verb == "up" and status != 0:
        raise SystemExit(status)


@contextmanager
def cluster_up(run_dir: Path, results: list[Result]) -> Iterator[None]:
    """A local cluster for what is done in the block; how long it took to come up is added to the results."""
    began = time.monotonic()
    try:
        cluster("up", run_dir)
        results.append(Result("cluster up", time.monotonic() - began))
        yield
    finally:
        ignore()
        cluster("down", run_dir)


def climb(wanted: list[str]) -> list[Result]:
    """Run the rungs, each cluster up from the first that needs it to the end, however that comes."""
    results: list[Result] = []
    background: dict[str, Background] = {}
    with first_only(), ExitStack() as up:
        for rung in (rung for rung in BACKGROUND if rung in wanted):
            run_dirs = [ROOT / "out" / f"test-cluster-{rung}-{n}" for n in range(CLUSTERS.get(rung, 0))]
            for run_dir in run_dirs:
                up.enter_context(cluster_up(run_dir, results))
            background[rung] = Background(rung, run_dirs)
            up.callback(background[rung].stop)
        is_up = False
        for rung in wanted:
            if rung in NEEDS_CLUSTER and not is_up:
                up.enter_context(cluster_up(RUN_DIR, results))
                is_up = True
            results.append(background[rung].result() if rung in background else run(rung))
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
    os.environ |= clusters.environment([RUN_DIR])
    began = time.monotonic()
    try:
        results = climb(wanted)
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    print("\nrung          seconds  passed  failed  skipped")
    for result in results:
        print(
            f"{result.rung:<12} {result.seconds:8.1f} {result.passed:7d} {len(result.failed):7d} {len(result.skipped):8d}"
        )
    for result in results:
        for command in result.failed_steps:
            print(f"failed: {result.rung}: {command}")
    print(f"{'all':<12} {time.monotonic() - began:8.1f}")
    for line in (line for result in results for line in result.seen):
        print(f"saw: {line}")
    passed, failed = sum(r.passed for r in results), sum(len(r.failed) for r in results)
    skipped = [line for result in results for line in result.skipped]
    for line in skipped:
        print(f"skipped: {line}")
    unexpected = bool(skipped and os.environ.get("CI"))
    if unexpected:
        print("failed: nothing may be skipped where CI is set")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if unexpected or any(result.failed_steps for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
