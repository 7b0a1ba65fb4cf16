"""Which local cluster a test has: the rungs of the ladder bring up as many as a rung takes, and its workers share them out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "SERVING_TEST_RUN_DIR"
"""Names the run directories of the clusters that a pytest run has, with the separator of PATH between them."""


GARBAGE = {"GOGC": "400"}
"""Memory for time: the API server, a quarter of all that a run takes, works a fifth less with 0.8 GiB more."""


def environment(run_dirs: Sequence[Path]) -> dict[str, str]:
    """The environment that tells a pytest run which clusters are its own, and what is written in Go to spend memory."""
    return GARBAGE | {VARIABLE: os.pathsep.join(str(run_dir) for run_dir in run_dirs)}


def own_run_dir() -> Path:
    """The run directory of this worker's cluster; that of `make cluster-up` where no ladder has started one."""
    run_dirs = os.environ.get(VARIABLE, "out/cluster").split(os.pathsep)
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return Path(run_dirs[worker % len(run_dirs)])
