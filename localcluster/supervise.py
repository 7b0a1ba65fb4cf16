"""The background process that owns every other process of a cluster.

`.venv/bin/python -m localcluster.supervise RUN_DIR` starts the components of `components.json` in order, restarts what
exits, and stops them in reverse order on SIGTERM or SIGINT. Killed itself, it takes them along: the kernel
does that, see `tether`. It has one thread, which sleeps until a child ends or the next check is due.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcluster import component, tether
from localcluster.component import Component
from localcluster.lock import exclusive
from localcluster.node.restarts import Backoff

_TICK_SECONDS = 0.5
_FIRST_RESTART_SECONDS = 0.25
_LONGEST_RESTART_SECONDS = 10.0
_STEADY_SECONDS = 30.0
"""A component that lived so long is restarted without a delay inherited from earlier failures."""

AUTOGROUP = Path("/proc/self/autogroup")
PRECEDENCE = -10
"""The nice value at which a session weighs about nine times what others do; see `CpuLimits.weigh` for the pods."""


def answers(component: Component, timeout_seconds: float = 2.0) -> bool:
    """Whether the component's ready address answers 2xx now."""
    if component.ready is None:
        return True
    context = None
    if component.ready.startswith("https:"):
        context = ssl.create_default_context(cafile=component.trust)
        if component.identify:
            context.load_cert_chain(f"{component.identify}.crt", f"{component.identify}.key")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(component.ready, timeout=timeout_seconds):
            return True
    except OSError:
        return False


def _new_backoff() -> Backoff:
    return Backoff(_FIRST_RESTART_SECONDS, _LONGEST_RESTART_SECONDS, _STEADY_SECONDS)


@dataclass
class _Process:
    """A component and the process that runs it now, if any."""

    component: Component
    child: subprocess.Popen[bytes] | None = None
    state: str = "Waiting"
    restarts: int = 0
    last_exit: int | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    backoff: Backoff = field(default_factory=_new_backoff)

    def report(self) -> dict[str, Any]:
        return {
            "pid": self.child.pid if self.child else None,
            "state": self.state,
            "restarts": self.restarts,
            "lastExit": self.last_exit,
        }


class Supervisor:
    """Runs components until told to stop. Call `run` from the main thread."""

    def __init__(self, run_dir: Path, components: Sequence[Component]) -> None:
        self._run_dir = run_dir
        self._log_dir = run_dir / "logs"
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._halted_dir = run_dir / "halted"
        self._halted_dir.mkdir(exist_ok=True)
        self._processes = {component.name: _Process(component) for component in components}
        self._written = ""

    def run(self) -> None:
        """Keep the components running; returns after an orderly stop."""
        wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        stopping = False
        try:
            while not stopping:
                now = time.monotonic()
                for process in self._processes.values():
                    self._step(process, now)
                self._write_status()
                received = signal.sigtimedwait(wanted, self._pause_seconds(time.monotonic()))
                stopping = received is not None and received.si_signo in (signal.SIGTERM, signal.SIGINT)
        finally:
            for process in reversed(self._processes.values()):
                self._stop(process)
                process.state = "Stopped"
                self._write_status()

    def _pause_seconds(self, now: float) -> float:
        starting = any(process.state == "Starting" for process in self._processes.values())
        pause = 0.1 if starting else _TICK_SECONDS
        for process in self._processes.values():
            if process.state == "Backoff":
                pause = min(pause, max(0.0, process.due_at - now))
        return pause

    def _step(self, process: _Process, now: float) -> None:
        if (self._halted_dir / process.component.name).exists():
            if process.state != "Halted":
                self._stop(process)
                process.state, process.backoff = "Halted", _new_backoff()
            return
        if process.child is not None and process.child.poll() is not None:
            self._sweep(process.child.pid)
            process.last_exit, process.child = process.child.returncode, None
            process.due_at = now + process.backoff.delay_seconds(now - process.started_at)
            process.restarts += 1
            process.state = "Backoff"
        if process.state == "Halted":
            process.state = "Waiting"
        if process.state in ("Waiting", "Backoff") and self._may_start(process, now):
            self._start(process, now)
        if process.state == "Starting" and answers(process.component):
            process.state = "Ready"

    def _may_start(self, process: _Process, now: float) -> bool:
        if process.state == "Backoff":
            return now >= process.due_at
        return all(self._processes[name].state == "Ready" for name in process.component.after)

    def _start(self, process: _Process, now: float) -> None:
        component = process.component
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", tether.MARK: str(self._run_dir)}
        with (self._log_dir / f"{component.name}.log").open("ab") as log:
            try:
                process.child = subprocess.Popen(
                    component.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    preexec_fn=tether.die_with_parent(),  # safe: this process has one thread
                )
            except OSError as error:
                log.write(f"cannot be started: {error}\n".encode())
                process.due_at, process.state = now + _LONGEST_RESTART_SECONDS, "Backoff"
                process.restarts += 1
                return
        process.started_at, process.state = now, "Starting"

    def _stop(self, process: _Process) -> None:
        child = process.child
        if child is None:
            return
        child.terminate()
        try:
            child.wait(process.component.stop_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._sweep(child.pid)
        process.last_exit, process.child = child.returncode, None

    @staticmethod
    def _sweep(process_group: int) -> None:
        """Kill what a component that has ended left in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process_group, signal.SIGKILL)

    def _write_status(self) -> None:
        components = {name: process.report() for name, process in self._processes.items()}
        text = json.dumps({"pid": os.getpid(), "components": components}, indent=1) + "\n"
        if text != self._written:
            temporary = self._run_dir / ".status.json.new"
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, self._run_dir / "status.json")
            self._written = text


def take_precedence() -> None:
    """Let this session weigh as much as all pods of its cluster together, where the kernel weighs sessions and allows it.

    Its processes are one of many sessions otherwise, and on a busy machine endpoints follow pods seconds too late.
    """
    with contextlib.suppress(OSError):
        AUTOGROUP.write_text(str(PRECEDENCE))


def main(arguments: Sequence[str]) -> None:
    """Detach and run the supervisor of the run directory in `arguments`; one at a time."""
    run_dir = Path(arguments[0]).resolve()
    with exclusive(run_dir / "supervisor.lock", lambda: sys.exit(f"{run_dir} has a supervisor already")):
        if os.fork() == 0:  # the caller goes on; the lock lives on in the child
            os.setsid()
            take_precedence()
            Supervisor(run_dir, component.load(run_dir)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
