"""The emulated GPU exporter."""

from __future__ import annotations

from typing import Any

import pytest

from localcluster.dcgm import Emulation, Usage, page


def state(*pods: tuple[str, int, bool, int, str | None]) -> dict[str, Any]:
    return {
        "pods": {
            f"n/{name}": {
                "uid": name,
                "node": "local",
                "emulateGpu": emulate,
                "containers": {"model": {"pid": pid, "cpuLimit": limit, "gpus": gpus}},
            }
            for name, pid, emulate, gpus, limit in pods
        }
    }


def test_busy_is_cpu_time_over_the_limit() -> None:
    """Half a second of CPU in ten seconds under a limit of 200m is a quarter of the device."""
    emulation, pods = Emulation(), state(("a", 1, True, 0, "200m"))
    emulation.sample(pods, {1: Usage(5.0, 100)}, now=0)
    assert emulation.gpus[0].busy_ratio == 0
    emulation.sample(pods, {1: Usage(5.5, 120)}, now=10)
    assert emulation.gpus[0].busy_ratio == pytest.approx(0.25)
    assert emulation.gpus[0].used_mebibytes == 120


def test_restarted_process_is_not_negative() -> None:
    """A new process of the same pod starts from nothing."""
    emulation = Emulation()
    emulation.sample(state(("a", 1, True, 0, "1")), {1: Usage(50, 1)}, now=0)
    emulation.sample(state(("a", 2, True, 0, "1")), {2: Usage(1, 1)}, now=1)
    assert emulation.gpus[0].busy_ratio == 0


def test_only_pods_that_ask_have_a_device_and_keep_it() -> None:
    """Devices belong to annotated pods and GPU limits; an index is freed with its pod and then reused."""
    emulation = Emulation()
    emulation.sample(
        state(("a", 1, True, 0, None), ("b", 2, False, 1, None), ("c", 3, False, 0, None)), {}, now=0
    )
    assert {gpu.pod: gpu.index for gpu in emulation.gpus} == {"a": 0, "b": 1}
    emulation.sample(state(("b", 2, False, 1, None), ("d", 4, True, 0, None)), {}, now=1)
    assert {gpu.pod: gpu.index for gpu in emulation.gpus} == {"b": 1, "d": 0}


def test_page_says_that_it_is_an_emulation() -> None:
    """Every metric has the exporter's name and labels, and a help text that names the emulation."""
    emulation = Emulation()
    emulation.sample(state(("a", 1, True, 0, "1")), {1: Usage(0, 64)}, now=0)
    text = page(emulation.gpus)
    helps = [line for line in text.splitlines() if line.startswith("# HELP")]
    assert len(helps) == 4
    assert all("EMULATION" in line for line in helps)
    assert 'modelName="Emulated GPU",Hostname="local",container="model",namespace="n",pod="a"} 64' in text
    assert 'DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu="0",UUID="GPU-' in text
