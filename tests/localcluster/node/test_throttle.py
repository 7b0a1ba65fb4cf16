"""CPU limits without cgroups: stopped when a share is used up, continued when there is some again."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest

from localcluster.node.throttle import Throttle, cpu_seconds, members
from tests.localcluster.node.test_processes import start


@dataclass
class Busy:
    """A process that uses a whole CPU whenever it may run."""

    pid: int
    used: float = 0.0
    running: bool = True
    ended: bool = False
    signals: list[int] = field(default_factory=list)

    def signal_group(self, number: int) -> None:
        self.signals.append(number)
        self.running = number == signal.SIGCONT


class Machine:
    """Virtual time in which busy processes run under a throttle."""

    def __init__(self, *processes: Busy) -> None:
        self.now = 0.0
        self.processes = {process.pid: process for process in processes}
        self.throttle = Throttle(lambda: self.now, lambda pid: self.processes[pid].used, self.members)

    @staticmethod
    def members(leaders: Iterable[int]) -> dict[int, list[int]]:
        """Every group is its leader alone."""
        return {leader: [leader] for leader in leaders}

    def run(self, seconds: float, look_seconds: float) -> None:
        """Let the time pass, looking now and then."""
        for _ in range(round(seconds / look_seconds)):
            self.now += look_seconds
            for process in self.processes.values():
                process.used += look_seconds if process.running else 0.0
            self.throttle.look()


@pytest.mark.parametrize("cpus", ["0.05", "0.3", "0.9"])
@pytest.mark.parametrize("look_seconds", [0.001, 0.005, 0.02])
def test_a_limit_holds_on_average_however_rarely_it_is_looked(cpus: str, look_seconds: float) -> None:
    """What ran over its share owes the time."""
    busy = Busy(1)
    machine = Machine(busy)
    machine.throttle.create("pod", Decimal(cpus))
    machine.throttle.hold("pod", busy)
    machine.run(10, look_seconds)
    assert busy.used / 10 == pytest.approx(float(cpus), rel=0.25)
    assert busy.used / 10 <= float(cpus) * 1.03 + look_seconds / 10


def test_processes_of_a_container_share_its_limit() -> None:
    """A probe's command takes of the same share; another container does not."""
    first, probe, other = Busy(1), Busy(2), Busy(3)
    machine = Machine(first, probe, other)
    for name, processes in {"pod": [first, probe], "other": [other]}.items():
        machine.throttle.create(name, Decimal("0.4"))
        for process in processes:
            machine.throttle.hold(name, process)
    machine.run(10, 0.002)
    assert first.used + probe.used == pytest.approx(4, rel=0.1)
    assert other.used == pytest.approx(4, rel=0.1)


def test_nothing_is_stopped_that_keeps_its_share_and_nothing_stays_stopped() -> None:
    """An idle process gets no signal; at the end all run."""
    idle, busy = Busy(1, running=False), Busy(2)
    machine = Machine(idle, busy)
    for name, process in {"idle": idle, "busy": busy}.items():
        machine.throttle.create(name, Decimal("0.1"))
        machine.throttle.hold(name, process)
    machine.run(1, 0.005)
    machine.throttle.close()
    assert idle.signals == []
    assert busy.running


async def test_a_real_process_and_its_child_are_held(tmp_path: Path) -> None:
    """Two busy loops in one group get a fifth of a CPU together, and end when asked to."""
    throttle = Throttle()
    throttle.create("pod", Decimal("0.2"))
    process = start(tmp_path, "while :; do :; done & while :; do :; done")
    throttle.hold("pod", process)
    looking = asyncio.create_task(throttle.run())
    await asyncio.sleep(1)
    group = members([process.pid])[process.pid]
    assert len(group) == 2
    before, began = sum(cpu_seconds(pid) or 0 for pid in group), time.monotonic()
    await asyncio.sleep(1)
    used = sum(cpu_seconds(pid) or 0 for pid in group) - before
    assert used <= 0.3 * (time.monotonic() - began)
    assert await process.stop(5) == 128 + signal.SIGTERM
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
