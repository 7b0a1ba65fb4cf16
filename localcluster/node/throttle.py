"""CPU limits where no cgroup can be written: what has used up its share is stopped until it has some again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from .cgroups import quota

LOOK_SECONDS = 0.005
MEMBERS_SECONDS = 0.5
"""How often it is looked for processes that a container has started."""


class Group(Protocol):
    """A process that leads a group."""

    pid: int

    @property
    def ended(self) -> bool: ...
    def signal_group(self, number: int) -> None: ...


def cpu_seconds(pid: int) -> float | None:
    """CPU time of all threads of a process, as clock_getcpuclockid(3) finds it; None if it has ended."""
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    return None


def members(leaders: Iterable[int]) -> dict[int, list[int]]:
    """The processes of each group."""
    found: dict[int, list[int]] = {leader: [] for leader in leaders}
    for entry in os.listdir("/proc"):
        with suppress(ValueError, OSError):
            if (group := os.getpgid(int(entry))) in found:
                found[group].append(int(entry))
    return found


@dataclass
class _Limited:
    cpus: float
    most_seconds: float
    """Of CPU time that may be saved up: what a period gives, as of a cgroup."""
    left_seconds: float
    groups: list[Group] = field(default_factory=list)
    used: dict[int, float] = field(default_factory=dict)
    """By process: its CPU time so far."""
    stopped: bool = False


class Throttle:
    """Stops and continues the process groups of limited containers, in the agent's own loop.

    Time that was used beyond the share is owed, so that the limit holds on average however late a look comes.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu_seconds: Callable[[int], float | None] = cpu_seconds,
        members: Callable[[Iterable[int]], dict[int, list[int]]] = members,
    ) -> None:
        self._clock, self._cpu_seconds, self._members = clock, cpu_seconds, members
        self._containers: dict[str, _Limited] = {}
        self._looked_at = clock()
        self._pids: dict[int, list[int]] = {}
        self._members_at = self._looked_at

    def create(self, name: str, cpus: Decimal) -> None:
        """Limit what will be held under this name."""
        most = quota(cpus)[0] / 1e6
        self._containers[name] = _Limited(float(cpus), most, most)

    def hold(self, name: str, process: Group) -> None:
        """Hold a process and all that it starts within the limit of this name."""
        self._containers[name].groups.append(process)
        self._pids[process.pid] = [process.pid]

    def remove(self, name: str) -> None:
        """Forget a container; its processes have ended."""
        self._containers.pop(name, None)

    def close(self) -> None:
        """Let everything run."""
        for container in self._containers.values():
            self._let(container, run=True)
        self._containers.clear()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                self.look()
        finally:
            self.close()

    def look(self) -> None:
        """Stop what has used up its share, and let run what has some again."""
        now = self._clock()
        elapsed, self._looked_at = now - self._looked_at, now
        if now - self._members_at >= MEMBERS_SECONDS:
            self._members_at = now
            self._pids = self._members(g.pid for c in self._containers.values() for g in c.groups)
        for container in self._containers.values():
            container.groups = [group for group in container.groups if not group.ended]
            used = self._newly_used(container)
            container.left_seconds = min(
                container.left_seconds + elapsed * container.cpus - used, container.most_seconds
            )
            self._let(container, run=container.left_seconds > 0)

    def _newly_used(self, container: _Limited) -> float:
        used = {
            pid: seconds
            for group in container.groups
            for pid in self._pids[group.pid]
            if (seconds := self._cpu_seconds(pid)) is not None
        }
        newly = sum(seconds - container.used.get(pid, 0.0) for pid, seconds in used.items())
        container.used = used
        return newly

    @staticmethod
    def _let(container: _Limited, *, run: bool) -> None:
        if run != container.stopped:
            return
        container.stopped = not run
        for group in container.groups:
            group.signal_group(signal.SIGCONT if run else signal.SIGSTOP)
