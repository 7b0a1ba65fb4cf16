"""The programs as processes of this machine, under the users and the roles that their manifests give them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from localcluster.paths import REPOSITORY
from localcluster.ports import free_ports
from localcluster.tether import die_with_parent
from serving_api.names import OPERATOR, SYSTEM_NAMESPACE

ACCOUNTS = f"system:serviceaccount:{SYSTEM_NAMESPACE}"
USER = f"{ACCOUNTS}:{OPERATOR}"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{SYSTEM_NAMESPACE}")
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 1.0
"""A page of metrics has series of every service: asked more often it would be a load of its own."""


class ProgramError(Exception):
    """A program has ended, or does not end; the message names its log."""


@dataclass
class ProgramProcess:
    """One process of a program at a time, started and stopped as a kubelet would."""

    kubeconfig: Path
    log: Path
    module: str
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _port: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None, "start it first"
        return self._process.pid

    def start(self) -> None:
        """Start it. Call from the main thread: the process ends with the thread that started it."""
        (self._port,) = free_ports(1)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module, "--listen", f"127.0.0.1:{self._port}", *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig), "POD_NAMESPACE": SYSTEM_NAMESPACE},
                preexec_fn=die_with_parent(),
            )

    def stop(self) -> None:
        """End it in order; by force if it takes longer than a pod's grace."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            message = f"{self.module} did not end within {_STOP_SECONDS:.0f} s; {self.log}"
            raise ProgramError(message) from None
        finally:
            self._process = None

    def check(self) -> None:
        """Raise ProgramError if it has ended: a kubelet would start another one, and what is measured would be another."""
        if self._process is None or self._process.poll() is not None:
            raise ProgramError(f"{self.module} has ended; {self.log} says why")

    async def page(self) -> str:
        """Return its page of metrics; empty as long as it does not answer. Raises ProgramError if it has ended."""
        self.check()
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                return (await client.get(f"http://127.0.0.1:{self._port}/metrics")).text
        except httpx.TransportError:
            return ""


@dataclass
class OperatorProcess(ProgramProcess):
    """The operator."""

    module: str = "serving_operator"

    async def at_rest(self, services: int) -> None:
        """Wait until it has looked at so many services since its start, and nothing waits or runs."""
        while True:
            if is_at_rest(await self.page(), services):
                return
            await asyncio.sleep(_LOOK_SECONDS)


def is_at_rest(page: str, services: int) -> bool:
    """Whether a page of a leader's metrics says that so many runs have ended, and none waits or goes on."""
    return (
        total(page, "leader_election_master_status") == 1
        and total(page, "controller_runtime_reconcile_total") >= services
        and total(page, "workqueue_depth") == 0
        and total(page, "controller_runtime_active_workers") == 0
    )


def total(page: str, metric: str, label: str = "") -> float:
    """Return the sum of a metric's series on a page, of those with a label; 0 without any.

    No parser: a page has series of every service.
    """
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith((f"{metric}{{", f"{metric} ")) and label in line
    )
