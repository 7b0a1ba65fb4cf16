"""Process groups: start them so that they end with the agent, wait for them, and leave no zombie."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from localcluster.tether import die_with_parent

POD_MARK = "SERVING_LOCAL_CLUSTER_POD"
"""Set to the run directory in every container, so that what a dead agent left can be told."""
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_running: set[int] = set()


class Process:
    """A process that leads a session of its own. The group is killed when its leader ends."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        output: IO[bytes] | int,
        cgroup_procs: Path | None = None,
    ) -> None:
        tether = die_with_parent()

        def before_exec() -> None:
            tether()
            if cgroup_procs:
                cgroup_procs.write_text(str(os.getpid()))

        self._popen = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=before_exec,
        )
        self.pid = self._popen.pid
        _running.add(self.pid)
        loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = loop.create_future()
        self._pidfd = os.pidfd_open(self.pid)
        loop.add_reader(self._pidfd, self._ended)

    def _ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Before the leader is reaped its id cannot belong to another group.
        self.signal_group(signal.SIGKILL)
        code = self._popen.wait()
        _running.discard(self.pid)
        if not self._exit.done():
            self._exit.set_result(128 - code if code < 0 else code)

    @property
    def ended(self) -> bool:
        """Whether the leader has ended."""
        return self._exit.done()

    async def wait(self) -> int:
        """The exit code; 128 + n after signal n."""
        return await asyncio.shield(self._exit)

    def terminate(self) -> None:
        """SIGTERM to the leader alone, as a container's first process gets it."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def signal_group(self, number: int) -> None:
        """Send a signal to every process of the group."""
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM, and SIGKILL to the group after the grace period; the exit code."""
        self.terminate()
        try:
            async with asyncio.timeout(max(grace_seconds, 0.01)):
                return await self.wait()
        except TimeoutError:
            self.signal_group(signal.SIGKILL)
            return await self.wait()


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent has ended, to be able to reap them."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans() -> None:
    """Collect ended descendants that are nobody's Process."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in _running:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(ended.si_pid, os.WNOHANG)
