"""Releases that the local cluster and the tests of manifests run, and how far a found program may be from them."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

RELEASES = {"1.37": "v1.37.2", "1.34": "v1.34.4"}
"""Of Kubernetes: the newest, which is run unless told otherwise, and the oldest that is supported."""
ASKED = os.environ.get("KUBERNETES")
"""The minor that whoever starts a cluster asks for (`KUBERNETES=1.34 make contract`)."""


def release_of(minor: str | None) -> str:
    """The release of a minor, of the newest if none is asked for. Raises SystemExit with those that there are."""
    if minor and minor not in RELEASES:
        raise SystemExit(f"KUBERNETES={minor}: expected {' or '.join(RELEASES)}")
    return RELEASES[minor or next(iter(RELEASES))]


KUBERNETES = release_of(ASKED)
ETCD = "v3.7.3"
GATEWAY_API = "v1.7.0"
GATEWAY_API_SUM = "h1:duVnm7nO6oXfMMUWfcDoBph47CYR/ME3NGxccOVglaY="
PROMETHEUS = "v3.16.0"
HELM = "v4.3.1"
KUBECONFORM = "v0.8.0"
METRICS_SERVER = "v0.9.0"
KEDA = "v2.21.0"
KSTATUS = "v1.3.0"
"""Of the module that Flux takes it from."""

ACCEPTED_MINORS = (int(ASKED.partition(".")[2]),) if ASKED else (35, 36, 37)
"""Of a control plane that is found: the three newest minors of Kubernetes 1, or the one that is asked for."""
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
