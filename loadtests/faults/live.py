"""Which rows also have a test on the local cluster: real pods, a real Prometheus, the same programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BLIND: Final = "tests/system/test_blindness.py::test_prometheus_is_gone_or_worthless"

LIVE: Final[Mapping[str, str]] = {
    "outage": _BLIND,
    "outage-ebb": _BLIND,
    "not-a-number": _BLIND,
    "stale": _BLIND,
    "crash-loop": "tests/system/test_pods_that_cannot_start.py::test_the_cause_is_shown",
    "slower-4-at-10": "tests/system/test_judged_rollout.py::test_a_slow_version_comes_back",
    "node-loss": "tests/system/test_lost_nodes.py::test_half_of_the_nodes_are_lost_in_mid_canary",
}
"""By the name of the row, the test. There the fault is the same, its length and load are not."""
