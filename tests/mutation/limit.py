"""A pytest plugin: a mutant's test that never ends is stopped by the CPU time it takes, which a busy machine does not change."""

from __future__ import annotations

import os
import resource
import time

CPU_SECONDS = 10
"""What one test may take: several times what the slowest takes without a mutant."""


def pytest_runtest_setup() -> None:
    """Let the kernel end a mutant's process at CPU_SECONDS from now."""
    if "__mutmut_" in os.environ.get("MUTANT_UNDER_TEST", ""):
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + CPU_SECONDS, hard))
