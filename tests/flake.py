"""Run the system tests again and again, go on after a failure, and say at the end what failed how often.

They run in lanes, side by side, each with local clusters of its own: most of these tests wait most of the time. A lane
that has no turn of its own rung left takes turns of the other.
Runs of the same code add up, whatever else was committed in between: an interrupted command goes on where it stopped, and
those of another clone count once their lines are in `tests/flake_runs.jsonl`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localcluster.interruption import first_only
from localcluster.paths import this_python
from tests import clusters
from tests.ladder import ALIASES, CLUSTERS, PATIENCE_SECONDS, ROOT, STEPS, Result, counts, python

FLAKE = ROOT / "out" / "flake"
KEPT = ROOT / "tests" / "flake_runs.jsonl"
"""Runs of other clones."""
CODE = (
    "pyproject.toml", "requirements", "serving_operator", "serving_api", "serving_io", "servingctl", "autoscaler",
    "model_downloader", "manifests", "crds", "localcluster", ":(glob)loadtests/*.py", "loadtests/demo", "loadtests/scale/audit.py",
    ":(glob)tests/*.py", "tests/api", "tests/fakes", "tests/localcluster", "tests/model_downloader", "tests/system",
    ":!tests/flake.py", ":!tests/test_flake.py",
)  # fmt: skip
"""What these tests run, as patterns of git."""
RUNGS = ALIASES["live"]
LANES = ("system", "disruptive")
"""The rung that each lane begins with: as in the ladder, where the second runs beside the first. More starve each other."""


@dataclass(frozen=True)
class Run:
    """One run of a rung."""

    code: str
    rung: str
    seconds: float
    passed: int
    failed: list[str]


def code_here() -> str | None:
    """A hash of all that the tests run; None while it differs from what is committed."""
    git = ["git", "-c", "core.quotepath=off"]
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--", *CODE], cwd=ROOT, capture_output=True, check=True
    )
    if changed.stdout:
        return None
    files = subprocess.run(
        [*git, "ls-files", "--stage", "--", *CODE], cwd=ROOT, capture_output=True, check=True
    )
    return hashlib.sha256(files.stdout).hexdigest()[:12]


def known(files: Sequence[Path], code: str | None, rungs: Sequence[str]) -> list[Run]:
    """The runs of this code so far; what differs from its commit has none."""
    lines = [line for path in files if path.exists() for line in path.read_text().splitlines()]
    found = [Run(**json.loads(line)) for line in dict.fromkeys(lines)]
    return [run for run in found if run.code == code and run.rung in rungs]


def summary(code: str | None, runs: Sequence[Run]) -> dict[str, object]:
    """What `out/flake/summary.json` holds: per rung how many runs there were and were clean, and what failed how often."""
    rungs = sorted({run.rung for run in runs})
    by_rung = {rung: [run for run in runs if run.rung == rung] for rung in rungs}
    return {
        "code": code,
        "runs": {rung: len(of_it) for rung, of_it in by_rung.items()},
        "runs_clean": {rung: sum(not run.failed for run in of_it) for rung, of_it in by_rung.items()},
        "tests_passed": sum(run.passed for run in runs),
        "failures": dict(Counter(name for run in runs for name in run.failed).most_common()),
        "seconds_median": {
            rung: sorted(run.seconds for run in of_it)[len(of_it) // 2] for rung, of_it in by_rung.items()
        },
    }


INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES = 256
"""A cluster's control plane takes about thirteen, and Envoy one for each backend."""


class Flake:
    """All lanes, and what they share: which runs are left, what was seen, whether to stop."""

    def __init__(self, code: str | None, runs: list[Run], wanted: int, rungs: Sequence[str]) -> None:
        self.runs = runs
        self._code, self._wanted, self._rungs = code, wanted, rungs
        done = Counter(run.rung for run in runs)
        self._left = {rung: list(range(done[rung] + 1, wanted + 1)) for rung in rungs}
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._stopping = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(self) -> None:
        """Run what is left, in lanes. Raises KeyboardInterrupt once every lane has tidied up."""
        lanes = [
            threading.Thread(target=self._lane, args=(number, sorted(self._left, key=rung.__ne__)))
            for number, rung in enumerate(LANES, 1)
        ]
        with first_only(self._stop):
            for lane in lanes:
                lane.start()
            for lane in lanes:
                lane.join()
        if self._stopping.is_set():
            raise KeyboardInterrupt

    def _stop(self) -> None:
        self._stopping.set()
        for process in list(self._running):
            os.killpg(process.pid, signal.SIGINT)

    def _lane(self, number: int, rungs: Sequence[str]) -> None:
        for rung in rungs:
            if self._left[rung] and not self._stopping.is_set():
                self._turns(number, rung)

    def _turns(self, number: int, rung: str) -> None:
        run_dirs = [FLAKE / f"cluster-{number}-{rung}-{one}" for one in range(CLUSTERS[rung])]
        log = FLAKE / f"cluster-{number}-{rung}.log"
        try:
            with self._starting:
                for run_dir in run_dirs:
                    if self._do(python("localcluster", "up", "--run-dir", str(run_dir)), log, run_dirs):
                        self._say(f"lane {number}: its cluster did not start (see {log})")
                        return
            while not self._stopping.is_set() and (turn := self._take(rung)):
                self._once(rung, turn, run_dirs)
        finally:
            with log.open("ab") as words:
                for run_dir in run_dirs:
                    subprocess.run(
                        python("localcluster", "down", "--run-dir", str(run_dir)),
                        cwd=ROOT,
                        stdout=words,
                        stderr=words,
                        start_new_session=True,
                    )

    def _take(self, rung: str) -> int | None:
        """The number of the rung's next run, if any is left."""
        with self._lock:
            return self._left[rung].pop(0) if self._left[rung] else None

    def _once(self, rung: str, turn: int, run_dirs: Sequence[Path]) -> None:
        name = f"{rung}-{turn}"
        report, log = FLAKE / f"{name}.xml", FLAKE / f"{name}.log"
        report.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        (command,) = STEPS[rung]
        began = time.monotonic()
        status = self._do([*command, f"--junitxml={report}"], log, run_dirs)
        if self._stopping.is_set():
            return
        result = Result(rung, time.monotonic() - began)
        counts(report, result)
        failed = result.failed or (["pytest itself"] if status else [])
        run = Run(self._code or "changed", rung, round(result.seconds, 1), result.passed, failed)
        with self._lock:
            self.runs.append(run)
            with (FLAKE / "runs.jsonl").open("a") as lines:
                lines.write(json.dumps(asdict(run)) + "\n")
        said = f"failed: {', '.join(failed)} (see {log})" if failed else "clean"
        self._say(f"{rung}, run {turn} of {self._wanted}: {run.seconds:.0f} s, {run.passed} passed, {said}")

    def _do(self, command: list[str], log: Path, run_dirs: Sequence[Path]) -> int:
        environment = {**os.environ, **clusters.environment(run_dirs)}
        with log.open("ab") as words:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=words, stderr=words, process_group=0
            )
        self._running.add(process)
        if self._stopping.is_set():
            os.killpg(process.pid, signal.SIGINT)
        try:
            while True:
                try:
                    return process.wait(PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    if self._stopping.is_set():
                        os.killpg(process.pid, signal.SIGKILL)
        finally:
            self._running.discard(process)

    def _say(self, sentence: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


def main() -> int:
    """Run until there are so many runs of each rung; the exit code says whether all were clean."""
    parser = argparse.ArgumentParser(prog=f"{this_python()} -m tests.flake", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="how many of each rung (default: %(default)s)")
    parser.add_argument(
        "--only", action="append", choices=RUNGS, help=f"a rung; without it {', '.join(RUNGS)}"
    )
    options = parser.parse_args()
    rungs = tuple(options.only or RUNGS)
    if (allowed := int(INOTIFY.read_text())) < INOTIFY_INSTANCES:
        parser.error(
            f"so many clusters take more than the {allowed} inotify instances that a user may have: "
            f"sysctl -w fs.inotify.max_user_instances={INOTIFY_INSTANCES}"
        )
    FLAKE.mkdir(parents=True, exist_ok=True)
    code = code_here()
    flake = Flake(code, known((KEPT, FLAKE / "runs.jsonl"), code, rungs), options.runs, rungs)
    if flake.runs:
        print(f"{len(flake.runs)} runs of this code ({code}) are known already")
    flake.run()
    whole = summary(code, flake.runs)
    (FLAKE / "summary.json").write_text(json.dumps(whole, indent=2) + "\n")
    print(json.dumps(whole, indent=2))
    enough = all(sum(run.rung == rung for run in flake.runs) >= options.runs for rung in rungs)
    return 0 if enough and not any(run.failed for run in flake.runs) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted; the same command goes on with what is left")
        sys.exit(130)
