"""How figures grow with the number of services, as a picture that needs no page around it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from autoscaler.replay.report.page import STYLE
from autoscaler.replay.report.plot import WIDTH, Axis, Plot, Series, Threshold, elements
from loadtests.scale.targets import MOST_CORES, MOST_MEBIBYTES, MOST_RESTART_SECONDS, MOST_STORM_SECONDS

_HEADING = 30

Figures = dict[str, Any]


def picture(growth: Sequence[Figures]) -> str:
    """Return plots over the number of services as one SVG file; `growth` as in `summary.json`."""
    sizes = sorted(one["services"] for one in growth)
    axis = Axis(0, sizes[-1], marks=sizes)
    parts, top = [], 0
    for plot in _plots(growth):
        parts.append(
            f'<text class="title" x="16" y="{top + 20}">{escape(plot.title)}'
            f'<tspan class="unit" dx="8">{escape(plot.unit)}</tspan></text>'
            f'<g transform="translate(0 {top + _HEADING})">{elements(plot, axis)}</g>'
        )
        top += _HEADING + plot.height
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img" '
        f'aria-label="growth with the number of services"><style>{STYLE}{_ALONE}</style>'
        f'<rect width="{WIDTH}" height="{top}" class="page"/>{"".join(parts)}</svg>\n'
    )


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


_ALONE = """
text{font:11.5px system-ui,"Segoe UI",Roboto,sans-serif}
text.title{font-size:15px;font-weight:600;fill:var(--ink)}
.unit{font-size:13px;font-weight:400;fill:var(--soft)}
.page{fill:var(--card)}
"""
