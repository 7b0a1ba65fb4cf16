"""CRDs that the API server has taken in."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

PATIENCE_SECONDS = 60.0
NOTHING_YET = "accessor error"
"""With these words `kubectl wait` gives up at once on a CRD that has no conditions at all yet."""


def wait(kubectl: Sequence[str], *crds: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until all are established; `kubectl` is the command with what leads to the cluster.

    Raises TimeoutError with its words.
    """
    command = [*kubectl, "wait", "--for=condition=Established", f"--timeout={seconds:.0f}s", *crds]
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
        if NOTHING_YET not in done.stderr or time.monotonic() > end:
            raise TimeoutError(done.stderr.strip())
        time.sleep(0.2)
