"""The report for people, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from loadtests.scale.figures import exponent

GROWTH_FILE = "growth.svg"
Figures = Mapping[str, Any]


def markdown(summary: Figures) -> str:
    """Return the whole report; `summary` as in `summary.json`, with what was measured of it."""
    lines = [
        "# Many services",
        "",
        f"{summary['services']} services, {summary['cpus']} CPUs, which API server, controllers, operator and measuring share. "
        "Nodes, gateway and autoscaler are simulated: pods are Ready at once.",
    ]
    lines += against_targets(summary)
    for key, section in _SECTIONS.items():
        if key in summary:
            lines += ["", *section(summary[key])]
    return "\n".join(lines) + "\n"


def against_targets(summary: Figures) -> Iterator[str]:
    """Return what was not measured, and the targets beside what was."""
    if summary["failures"]:
        yield from ("", "**Not measured:** " + "; ".join(summary["failures"]))
    yield from ("", "| target | wanted | measured | met |", "|---|---|---|---|")
    for one in summary["targets"]:
        met = "yes" if one["met"] else "**no**"
        yield f"| {one['name']} | {one['wanted']} | {one['measured']:g} | {met} |"


def _storm(found: Figures) -> Iterator[str]:
    yield f"## {found['services']} services at {found['rate_per_second']:g} a second"
    yield ""
    yield (
        f"Offered in {found['offered_seconds']:g} s; the last one had its children after {found['children_seconds']:g} s, "
        f"and all served what they ask for after {found['settled_seconds']:g} s. "
        f"Children of a service: {_spread(found['children'])}."
    )
    yield (
        f"The operator wrote {found['writes_per_service']:g} times and took "
        f"{found['operator_cpu_milliseconds_per_service']:g} ms of CPU for each, and at most "
        f"{found['operator_peak_mebibytes']} MiB. Cores in use: {_cores(found['cores'])}."
    )


def _restart(found: Figures) -> Iterator[str]:
    yield "## The operator starts anew"
    yield ""
    yield (
        f"It had looked at all {found['services']} after {found['converged_seconds']:g} s and {found['cpu_seconds']:g} s of CPU, "
        f"with {found['writes']} writes{_written(found['written'])}."
    )


def _quiet(found: Figures) -> Iterator[str]:
    yield f"## Nothing changes for {found['seconds']:.0f} s"
    yield ""
    yield (
        f"{found['writes']} writes{_written(found['written'])}, {found['reads_per_second']:g} reads a second, "
        f"{found['operator_mebibytes']} MiB ({found['operator_peak_mebibytes']} at most since its start). "
        f"Cores in use: {_cores(found['cores'])}."
    )


def _neighbours(found: Figures) -> Iterator[str]:
    yield "## A namespace beside a busy one"
    yield ""
    yield (
        f"{found['services']} services change {found['changes_per_second']:g} times a second, first alone, then beside "
        f"{found['busy_services']} services of another namespace that change {found['busy_changes_per_second']:g} times a second."
    )
    yield ""
    yield "| | changes | p50 | p99 | unanswered |"
    yield "|---|---|---|---|---|"
    for name in ("alone", "beside"):
        one = found[name]
        yield f"| {name} | {one['changes']} | {one['p50_seconds']:g} s | {one['p99_seconds']:g} s | {one['unanswered']} |"


def _growth(found: Sequence[Figures]) -> Iterator[str]:
    yield "## Growth"
    yield ""
    yield f"![figures over the number of services]({GROWTH_FILE})"
    yield ""
    yield "| services | settled | CPU per service | restart | its CPU | cores, nothing changes | memory at most |"
    yield "|---|---|---|---|---|---|---|"
    for one in found:
        yield (
            f"| {one['services']} | {one['storm']['settled_seconds']:g} s "
            f"| {one['storm']['operator_cpu_milliseconds_per_service']:g} ms | {one['restart']['converged_seconds']:g} s "
            f"| {one['restart']['cpu_seconds']:g} s | {one['quiet']['cores']['operator']:g} "
            f"| {one['storm']['operator_peak_mebibytes']} MiB |"
        )
    power = exponent(
        [
            (one["services"], one["services"] * one["storm"]["operator_cpu_milliseconds_per_service"])
            for one in found
        ]
    )
    if power is not None:
        yield ""
        yield f"The operator's CPU for a storm grows with the power {power:.2f} of the number of services (1: linearly)."


_SECTIONS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "storm": _storm,
    "arrivals": _storm,
    "restart": _restart,
    "quiet": _quiet,
    "neighbours": _neighbours,
    "growth": _growth,
}


def _spread(found: Figures) -> str:
    return f"p50 {found['p50_seconds']:g} s, p99 {found['p99_seconds']:g} s"


def _cores(found: Figures) -> str:
    return ", ".join(f"{name} {share:g}" for name, share in found.items())


def _written(found: Figures) -> str:
    return f" ({', '.join(f'{count} {name}' for name, count in found.items())})" if found else ""
