"""Releases that the local cluster and the tests of manifests run, and how far a found program may be from them."""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

KUBERNETES = "v1.37.2"
ETCD = "v3.7.3"
GATEWAY_API = "v1.7.0"
GATEWAY_API_SUM = "h1:duVnm7nO6oXfMMUWfcDoBph47CYR/ME3NGxccOVglaY="
PROMETHEUS = "v3.16.0"
HELM = "v4.3.1"
KUBECONFORM = "v0.8.0"
KSTATUS = "v1.3.0"
"""Of the module that Flux takes it from."""

ACCEPTED_MINORS = (35, 36, 37)
"""The three newest minors of Kubernetes 1."""
OLDEST_ETCD = (3, 5)
OLDEST_PROMETHEUS = (2, 41)
"""The first that knows `keepequal`, which the scrape configuration uses."""


class UnsupportedPlatformError(Exception):
    """There are no programs for this machine."""


@dataclass(frozen=True, order=True)
class Version:
    """Major, minor and patch of a release."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The first `1.2.3` or `1.2` in `text`."""
        found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
        return cls(int(found[1]), int(found[2]), int(found[3] or 0)) if found else None

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def version_of(program: Path, *arguments: str) -> Version | None:
    """What `program` says of itself; None if it cannot be run or says nothing."""
    try:
        done = subprocess.run(
            [str(program), *(arguments or ("--version",))], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Version.parse(done.stdout + done.stderr) if done.returncode == 0 else None


def architecture() -> str:
    """`amd64` or `arm64`, as Go and Kubernetes name it; raises UnsupportedPlatformError."""
    names = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    machine = platform.machine().lower()
    if platform.system() != "Linux" or machine not in names:
        raise UnsupportedPlatformError(
            f"the local cluster runs on Linux on x86-64 or arm64, not on {platform.system()} {machine}"
        )
    return names[machine]
