"""A cluster that runs: what it says of itself, and how it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcluster import tether
from localcluster.cluster import Cluster, ClusterNotFoundError
from localcluster.lock import is_held
from localcluster.paths import REPOSITORY
from localcluster.progress import Progress

_STOP_SECONDS = 60.0
_SWITCH_SECONDS = 60.0


class ComponentStuckError(Exception):
    """A component did not reach the wanted state in time."""


def is_running(run_dir: Path) -> bool:
    """Whether a supervisor of this run directory lives."""
    return is_held(run_dir / "supervisor.lock")


def read_status(run_dir: Path) -> dict[str, Any]:
    """What the supervisor last wrote; empty before its first word."""
    try:
        content: dict[str, Any] = json.loads((run_dir / "status.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return content


def stop(run_dir: Path, progress: Progress) -> bool:
    """Stop the cluster of `run_dir` in order and sweep up after it; whether there was one."""
    run_dir = run_dir.resolve()
    running = is_running(run_dir)
    if running:
        progress.update("stopping")
        os.kill(_supervisor_pid(run_dir), signal.SIGTERM)
        if not _eventually(lambda: not is_running(run_dir), _STOP_SECONDS):
            progress.say(f"the supervisor did not end within {_STOP_SECONDS:.0f} s; killing")
            os.kill(_supervisor_pid(run_dir), signal.SIGKILL)
            _eventually(lambda: not is_running(run_dir), _STOP_SECONDS)
    left = tether.kill_marked(run_dir)
    if left:
        progress.say(f"killed {len(left)} left-over processes")
    if not running and (run_dir / "cluster.json").exists():  # its node agent had no time to tidy up
        sweep = [sys.executable, "-m", "localcluster.node", "--run-dir", str(run_dir), "--sweep"]
        subprocess.run(sweep, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stderr=subprocess.DEVNULL)
    (run_dir / "cluster.json").unlink(missing_ok=True)
    return running or bool(left)


def _supervisor_pid(run_dir: Path) -> int:
    if not _eventually(lambda: bool(read_status(run_dir)), 10.0):
        raise ClusterNotFoundError(f"the supervisor of {run_dir} has not written its status; try again")
    return int(read_status(run_dir)["pid"])


def _eventually(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def switch(cluster: Cluster, name: str, halted: bool) -> None:
    """Halt a component, or let it run again; returns when that is so."""
    components = read_status(cluster.run_dir).get("components", {})
    if name not in components or not is_running(cluster.run_dir):
        raise ClusterNotFoundError(
            f"no running component {name!r}; there are: {', '.join(components) or 'none'}"
        )
    mark = cluster.run_dir / "halted" / name
    if halted:
        mark.touch()
    else:
        mark.unlink(missing_ok=True)
    wanted = "Halted" if halted else "Ready"

    def reached() -> bool:
        return bool(read_status(cluster.run_dir)["components"][name]["state"] == wanted)

    if not _eventually(reached, _SWITCH_SECONDS):
        raise ComponentStuckError(f"{name} is not {wanted} after {_SWITCH_SECONDS:.0f} s")
