"""CPU limits by cgroup, version 1 or 2, where the kernel lets this user write them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

PERIOD_MICROSECONDS = 10_000
"""Ten times shorter than the default: a request is then slowed evenly instead of waiting for a whole period."""
_SHORTEST_QUOTA_MICROSECONDS = 1_000
_SHARES_PER_CPU = 1024
_LONGEST_PERIOD_MICROSECONDS = 1_000_000


def quota(cpus: Decimal) -> tuple[int, int]:
    """(quota, period) in microseconds; below a tenth of a CPU the period grows, as the kernel asks."""
    period = max(PERIOD_MICROSECONDS, int(_SHORTEST_QUOTA_MICROSECONDS / cpus))
    period = min(period, _LONGEST_PERIOD_MICROSECONDS)
    return max(_SHORTEST_QUOTA_MICROSECONDS, int(period * cpus)), period


@dataclass(frozen=True)
class CpuLimits:
    """A cgroup directory of this agent's own; one group below it for each limited container."""

    root: Path
    version: int

    def weigh(self) -> None:
        """Let all pods together weigh four times what a kubelet gives them: the control plane shares these CPUs.

        Otherwise they weigh as much as any one process beside them, and a busy machine starves them.
        """
        cpus = os.cpu_count() or 1
        if self.version == 2:
            (self.root / "cpu.weight").write_text(str(min(10_000, 100 * cpus * 4)))
        else:
            (self.root / "cpu.shares").write_text(str(_SHARES_PER_CPU * cpus * 4))

    def create(self, name: str, cpus: Decimal) -> Path:
        """Make a group with this limit; the file that takes its first process."""
        group = self.root / name
        group.mkdir(exist_ok=True)
        quota_microseconds, period_microseconds = quota(cpus)
        if self.version == 2:
            (group / "cpu.max").write_text(f"{quota_microseconds} {period_microseconds}")
        else:
            # The quota may not fall below the shortest one at any moment, so it is lifted first.
            (group / "cpu.cfs_quota_us").write_text("-1")
            (group / "cpu.cfs_period_us").write_text(str(period_microseconds))
            (group / "cpu.cfs_quota_us").write_text(str(quota_microseconds))
        return group / "cgroup.procs"

    def hold(self, name: str, process: object) -> None:
        """The kernel holds it already: it was put into the group before its program began."""

    def remove(self, name: str) -> None:
        """Remove a container's group; its processes have ended."""
        with contextlib.suppress(OSError):
            (self.root / name).rmdir()

    def close(self) -> None:
        """Remove every group of this agent."""
        with contextlib.suppress(OSError):
            for group in self.root.iterdir():
                if group.is_dir():
                    self.remove(group.name)
            self.root.rmdir()


def _candidates() -> list[tuple[int, Path]]:
    """Where a group may be made: below our own group, beside it, or at the top."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    found = []
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, options, *_ = line.split()
        if kind == "cgroup" and "cpu" in options.split(","):
            version, path = 1, own.get("cpu", "/")
        elif kind == "cgroup2":
            version, path = 2, own.get("", "/")
        else:
            continue
        top = Path(mount)
        group = top / path.lstrip("/")
        found += [
            (version, each) for each in dict.fromkeys((group, group.parent, top)) if each.is_relative_to(top)
        ]
    return found


def _try_out(limits: CpuLimits) -> None:
    """Make the directory, a limited group in it, and move a process there; raises what the kernel refuses."""
    limits.close()
    limits.root.mkdir(exist_ok=True)
    if limits.version == 2:
        for directory in (limits.root.parent, limits.root):
            if "cpu" not in (directory / "cgroup.subtree_control").read_text().split():
                (directory / "cgroup.subtree_control").write_text("+cpu")
    limits.weigh()
    procs = limits.create("trial", Decimal(1))

    def move() -> None:
        procs.write_text(str(os.getpid()))

    subprocess.run(["true"], preexec_fn=move, check=True)
    limits.remove("trial")


def find(name: str) -> CpuLimits | str:
    """Limits in a group of this name, tried out and empty; or why there are none."""
    refusals = []
    for version, parent in _candidates():
        limits = CpuLimits(parent / name, version)
        try:
            _try_out(limits)
        except (OSError, subprocess.SubprocessError) as error:
            limits.close()
            refusals.append(f"{parent}: {getattr(error, 'strerror', None) or 'processes cannot be moved'}")
        else:
            return limits
    return "; ".join(refusals) or "no cgroup file system with a cpu controller is mounted"
