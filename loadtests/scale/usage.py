"""What processes use of the machine, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: CPU seconds since its start, and memory in MiB, now and at most."""

    cpu_seconds: float
    resident_mebibytes: float
    peak_mebibytes: float


def usage(pid: int) -> Usage:
    """Return what a process uses. Raises OSError if it is gone."""
    process = Path("/proc", str(pid))
    return read((process / "stat").read_text(), (process / "status").read_text(), _TICKS_PER_SECOND)


def read(stat: str, status: str, ticks_per_second: int) -> Usage:
    """Return what proc(5) says in `stat` (fields utime and stime) and `status` (VmRSS and VmHWM)."""
    after_the_name = stat.rpartition(")")[2].split()
    user, system = after_the_name[11:13]
    kibibytes = dict(_amounts(status.splitlines()))
    return Usage(
        cpu_seconds=(int(user) + int(system)) / ticks_per_second,
        resident_mebibytes=kibibytes["VmRSS"] / 1024,
        peak_mebibytes=kibibytes["VmHWM"] / 1024,
    )


def shares(before: Mapping[str, Usage], after: Mapping[str, Usage], seconds: float) -> dict[str, float]:
    """Return by process how many cores it used on average between two looks that are so far apart."""
    return {
        name: (after[name].cpu_seconds - before[name].cpu_seconds) / seconds
        for name in before
        if name in after
    }


def _amounts(lines: Iterable[str]) -> Iterable[tuple[str, int]]:
    for line in lines:
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            yield name, int(value.split()[0])
