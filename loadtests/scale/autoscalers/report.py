"""The report for people, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from loadtests.scale.report import against_targets

Figures = Mapping[str, Any]


def markdown(summary: Figures) -> str:
    """Return the whole report; `summary` as in `summary.json`, with what was measured of it."""
    lines = [
        "# Many InferenceAutoscalers",
        "",
        f"{summary['autoscalers']} InferenceAutoscalers of {summary['services']} services, {summary['cpus']} CPUs, which API server, "
        "Prometheus, autoscaler, what stands for the pods, and measuring share. Deployments have no pods: their replicas are "
        "Ready 20 s after they were asked for, and one process is scraped in the place of pods and gateway.",
        *against_targets(summary),
    ]
    for key, section in _SECTIONS.items():
        if key in summary:
            lines += ["", *section(summary[key])]
    return "\n".join(lines) + "\n"


def _begin(found: Figures) -> Iterator[str]:
    yield "## The first tick"
    yield ""
    yield (
        f"It ended {found['first_tick_seconds']:g} s after the start of the process, with the hand-over of "
        f"{found['first_tick_scalings']} Deployments and {found['first_tick_statuses']} statuses."
    )


def _ticks(found: Figures) -> Iterator[str]:
    yield f"## {found['ticks']} ticks, in each of which a hundredth changes"
    yield ""
    yield "| part | CPU seconds, median |"
    yield "|---|---|"
    for part, seconds in found["cpu_parts"].items():
        yield f"| {part} | {seconds:g} |"
    yield ""
    yield (
        f"Objects, signals and decisions take {found['cpu_seconds']:g} s of CPU ({found['cpu_seconds_most']:g} at most). The last of "
        f"{found['scalings']} scalings and {found['statuses']} statuses is written {found['seconds_to_last_write']:g} s after the "
        f"tick's begin ({found['seconds_to_last_write_most']:g} at most), at one tick in {found['tick_seconds']:g} s."
    )
    yield ""
    yield (
        f"Prometheus works {found['prometheus_query_seconds']:g} s on {found['queries_per_tick']:g} queries a tick, which are answered "
        f"after {found['signals_seconds']:g} s. It holds {found['prometheus_series']} series and takes in "
        f"{found['prometheus_samples_per_second']} samples a second, the shipped rules among them, in {found['prometheus_mebibytes']} MiB."
    )
    yield ""
    cores = ", ".join(f"{name} {share:g}" for name, share in found["cores"].items())
    yield (
        f"The autoscaler has {found['resident_mebibytes']} MiB ({found['resident_mebibytes_most']} at most). Cores in use: {cores}."
    )


def _page(found: Figures) -> Iterator[str]:
    yield "## Its own metrics"
    yield ""
    yield (
        f"A page has {found['mebibytes']:g} MiB and takes {found['seconds']:g} s. "
        f"What is remembered of the past of one has {found['history_bytes_of_one']} bytes."
    )


def _statuses(found: Figures) -> Iterator[str]:
    yield "## All loads drift"
    yield ""
    yield (
        f"In {found['seconds']} s status was written {found['writes']} times, {found['per_minute']:g} a minute and "
        f"{found['most_in_a_minute']} in the fullest one. {found['refreshes']} of these writes told of other numbers alone, "
        f"{found['refreshes_of_one_most']} at most of one InferenceAutoscaler."
    )


def _restart(found: Figures) -> Iterator[str]:
    yield "## It starts anew"
    yield ""
    yield f"It has decided after {found['first_tick_seconds']:g} s, with {found['first_tick_scalings']} scalings."
    if found["whole_seconds"] is not None:
        how = "" if found["whole_is_measured"] else ", worked out from the pace of the first minutes"
        yield f"It has read the history of two days after {found['whole_seconds']} s{how}."


_SECTIONS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "begin": _begin,
    "ticks": _ticks,
    "page": _page,
    "statuses": _statuses,
    "restart": _restart,
}
