"""What metrics-server is told of pods."""

from __future__ import annotations

from loadtests.live.resources import page
from localcluster.dcgm import Usage

STATE = {
    "pods": {
        "demo/digits-1": {"containers": {"model": {"pid": 11}, "side": {"pid": 12}}},
        "demo/digits-2": {"containers": {"model": {"pid": None}}},
    }
}


def test_each_running_container_has_its_cpu_time_and_memory() -> None:
    """Names and units are a kubelet's; the node has what its pods have; what does not run is left out."""
    told = page(STATE, {11: Usage(1.5, 2.0), 12: Usage(0.25, 1.0), 99: Usage(7.0, 7.0)}, now=1000.5)
    lines = [line for line in told.splitlines() if not line.startswith("#")]
    assert lines == [
        'container_cpu_usage_seconds_total{container="model",namespace="demo",pod="digits-1"} 1.500 1000500',
        'container_cpu_usage_seconds_total{container="side",namespace="demo",pod="digits-1"} 0.250 1000500',
        'container_memory_working_set_bytes{container="model",namespace="demo",pod="digits-1"} 2097152 1000500',
        'container_memory_working_set_bytes{container="side",namespace="demo",pod="digits-1"} 1048576 1000500',
        "node_cpu_usage_seconds_total 1.750 1000500",
        "node_memory_working_set_bytes 3145728 1000500",
    ]
