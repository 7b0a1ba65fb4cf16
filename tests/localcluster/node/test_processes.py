"""Real process groups: exit codes, time to stop, nothing left over."""

from __future__ import annotations

import asyncio
import os
import signal
from decimal import Decimal
from pathlib import Path

import pytest

from localcluster.node.cgroups import quota
from localcluster.node.processes import POD_MARK, Process
from localcluster.tether import kill_marked


def start(tmp_path: Path, script: str, mark: str = "") -> Process:
    env = {"PATH": os.defpath} | ({POD_MARK: mark} if mark else {})
    with (tmp_path / "log").open("ab") as output:
        return Process(["/bin/sh", "-c", script], env, tmp_path, output)


async def said(tmp_path: Path, count: int) -> list[str]:
    """The log's lines, once there are that many."""
    while len(lines := (tmp_path / "log").read_text().split()) < count:  # noqa: ASYNC110 (another process writes it)
        await asyncio.sleep(0.01)
    return lines


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    while alive(pid):  # noqa: ASYNC110 (not a child of ours)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
async def test_exit_code(tmp_path: Path, script: str, code: int) -> None:
    """An exit code is reported as it is, a signal as 128 and its number."""
    assert await start(tmp_path, script).wait() == code


async def test_children_end_with_their_leader(tmp_path: Path) -> None:
    """When a container's first process ends, its background processes are killed."""
    process = start(tmp_path, "sleep 600 & echo $!; exit 3")
    assert await process.wait() == 3
    (child,) = await said(tmp_path, 1)
    await gone(int(child))


async def test_stop_asks_before_it_kills(tmp_path: Path) -> None:
    """A process that handles SIGTERM ends with its own exit code."""
    process = start(tmp_path, "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    await said(tmp_path, 1)
    assert await process.stop(grace_seconds=60) == 5


async def test_stop_kills_the_stubborn(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed, with its group, when the grace period is over."""
    process = start(tmp_path, "trap '' TERM; sleep 600 & echo $!; while :; do sleep 0.05; done")
    (child,) = await said(tmp_path, 1)
    assert await process.stop(grace_seconds=0.2) == 128 + signal.SIGKILL
    await gone(int(child))


async def test_sweep_finds_only_its_own(tmp_path: Path) -> None:
    """What another run directory's agent started is left alone."""
    mine = start(tmp_path, "sleep 600", mark=str(tmp_path / "mine"))
    other = start(tmp_path, "sleep 600", mark=str(tmp_path / "mine-too"))
    try:
        assert mine.pid in kill_marked(tmp_path / "mine", POD_MARK)
        assert await mine.wait() == 137
        assert not other.ended
    finally:
        await other.stop(0)


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [("1", (10_000, 10_000)), ("0.2", (2_000, 10_000)), ("2.5", (25_000, 10_000)), ("0.05", (1_000, 20_000))],
)
def test_quota(cpus: str, expected: tuple[int, int]) -> None:
    """The period is 10 ms, longer where the quota would fall below the kernel's 1 ms."""
    assert quota(Decimal(cpus)) == expected
