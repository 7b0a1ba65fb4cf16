"""Children that cannot outlive their parent: what every process of the cluster is started with."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

MARK = "SERVING_LOCAL_CLUSTER"
"""Environment variable that every process of a cluster carries: its run directory."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(death_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A `preexec_fn`: the kernel sends `death_signal` to the child when the thread that forked it ends.

    Fork from the main thread, or the child dies with the worker thread. The child leads its own session
    and starts with no signal blocked.
    """
    parent = os.getpid()

    def bind() -> None:
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # the parent died between fork and prctl
            os.kill(os.getpid(), death_signal)

    return bind


def marked_processes(run_dir: Path, mark: str = MARK) -> Iterator[int]:
    """Ids of live processes, this one aside, in whose environment `mark` names `run_dir`."""
    wanted = f"{mark}={run_dir}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:  # gone already, or somebody else's
            continue
        if wanted in environment.split(b"\0"):
            yield int(entry.name)


def kill_marked(run_dir: Path, mark: str = MARK) -> list[int]:
    """SIGKILL whatever a dead cluster in `run_dir` left running; the ids that were hit."""
    hit = []
    for pid in marked_processes(run_dir, mark):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
        hit.append(pid)
    return hit
