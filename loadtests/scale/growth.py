"""How figures grow with the number of services, as a picture that needs no page around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoscaler.replay.report.plot import Axis, Plot, Series, Threshold
from loadtests.pictures import stacked
from loadtests.scale.targets import MOST_CORES, MOST_MEBIBYTES, MOST_RESTART_SECONDS, MOST_STORM_SECONDS

Figures = dict[str, Any]


def picture(growth: Sequence[Figures]) -> str:
    """Return plots over the number of services as one SVG file; `growth` as in `summary.json`."""
    sizes = sorted(one["services"] for one in growth)
    axis = Axis(0, sizes[-1], marks=sizes)
    return stacked([(plot, axis) for plot in _plots(growth)], "growth with the number of services")


def _plots(growth: Sequence[Figures]) -> list[Plot]:
    def line(*keys: str) -> list[Series]:
        points = []
        for one in sorted(growth, key=lambda each: int(each["services"])):
            value: Any = one
            for key in keys:
                value = value[key]
            points.append((float(one["services"]), float(value)))
        return [Series(keys[-1], points)]

    return [
        Plot(
            "All settled after",
            "seconds from the first service on, at 50 a second",
            line("storm", "settled_seconds"),
            [Threshold("target", MOST_STORM_SECONDS)],
        ),
        Plot(
            "CPU of the operator for each",
            "milliseconds per service",
            line("storm", "operator_cpu_milliseconds_per_service"),
        ),
        Plot(
            "Restart: all looked at after",
            "seconds",
            line("restart", "converged_seconds"),
            [Threshold("target", MOST_RESTART_SECONDS)],
        ),
        Plot(
            "CPU of the operator where nothing changes",
            "cores",
            line("quiet", "cores", "operator"),
            [Threshold("target", MOST_CORES)],
            minimum_top=0.05,
        ),
        Plot(
            "Memory of the operator at most",
            "MiB",
            line("storm", "operator_peak_mebibytes"),
            [Threshold("target", MOST_MEBIBYTES)],
        ),
    ]
