"""The summary and the report of a soak. Pure; keys in loadtests/README.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from loadtests.soak.history import History, attributed
from loadtests.soak.services import OBJECTIVE_MILLISECONDS
from loadtests.soak.stories import EACH, FAULTS, STORIES
from loadtests.soak.vitals import METRICS, growth

PROGRAMS = ("serving-operator", "serving-autoscaler")
Summary = dict[str, Any]


def summarise(history: History, seed: int) -> Summary:
    """Return what `summary.json` holds."""
    bad = {name: attributed(name, history) for name in history.traffic}
    threshold = max(OBJECTIVE_MILLISECONDS) / 1000
    records = [record for traffic in history.traffic.values() for record in traffic.records]
    stories = Counter(one.story for one in history.told)
    return {
        "seed": seed,
        "seconds": round(history.seconds),
        "stories": {story: stories[story] for story in STORIES},
        "stories_failed": [
            f"{one.service}, {one.story}: {one.problem}" for one in history.told if one.problem
        ],
        "faults": {fault: sum(one.fault == fault for one in history.struck) for fault in FAULTS},
        "requests": sum(traffic.sent for traffic in history.traffic.values()),
        "responses": len(records),
        "not_2xx": sum(not record.is_success for record in records),
        "not_2xx_of_failing_versions": sum(one.own for one in bad.values()),
        "not_2xx_of_lost_pods": sum(one.of_lost_pods for one in bad.values()),
        "not_2xx_unexplained": [
            f"{name}, {history.traffic[name].started + record.sent_seconds:.1f} s: "
            f"{record.failure or record.status} {record.revision}".rstrip()
            for name, one in bad.items()
            for record in one.unexplained
        ],
        "late_fraction": round(sum(one.is_late(threshold) for one in records) / max(len(records), 1), 4),
        "versions": history.versions,
        "rules_broken": history.broken,
        "growth": {program: growth(history.vitals, program) for program in PROGRAMS},
        "restarts_unexplained": history.restarts,
        "tracebacks": history.tracebacks,
        "rest_seconds": round(history.rest_seconds),
        "rest_writes": history.rest_writes,
    }


def shortcomings(summary: Mapping[str, Any]) -> list[str]:
    """Return what is not as it should be; nothing if all is well."""
    found = [f"a story did not end as it should: {one}" for one in summary["stories_failed"]]
    found += [f"a rule was broken: {one}" for one in summary["rules_broken"]]
    if unexplained := summary["not_2xx_unexplained"]:
        found.append(f"{len(unexplained)} bad responses that nothing explains, the first: {unexplained[0]}")
    if missing := summary["requests"] - summary["responses"]:
        found.append(f"{missing} requests were not counted")
    for program, grown in summary["growth"].items():
        if grown is None:
            found.append(f"{program} did not run for long enough to tell whether it grows")
        else:
            found += [
                f"{program} grows: {leak} from {grown[leak][0]} to {grown[leak][1]}"
                for leak in grown["leaks"]
            ]
    found += [f"{name} was restarted {n} times" for name, n in summary["restarts_unexplained"].items() if n]
    found += [f"{name} logged {n} tracebacks" for name, n in summary["tracebacks"].items() if n]
    found += [
        f"{name} wrote {n} times in the rest at the end" for name, n in summary["rest_writes"].items() if n
    ]
    if not summary["rest_seconds"]:
        found.append("it did not come to a rest at the end")
    return found


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the report."""
    missing = shortcomings(summary)
    lines = [
        "# Soak",
        "",
        f"{summary['seconds'] / 3600:.1f} hours, seed {summary['seed']}: {summary['requests']} requests, "
        f"{summary['not_2xx']} of them not 2xx: {summary['not_2xx_of_failing_versions']} of versions that fail, "
        f"{summary['not_2xx_of_lost_pods']} while a killed pod was missed, {len(summary['not_2xx_unexplained'])} that "
        f"nothing explains. Late (objective {max(OBJECTIVE_MILLISECONDS)} ms): {summary['late_fraction']:.1%}. "
        f"{summary['versions']} versions of objects were looked at.",
        "",
        *([f"* {one}" for one in missing] or ["Everything ended as it should, and nothing grows."]),
        "",
        "| what users did | how often |",
        "|---|---:|",
        *(f"| {EACH[story]} | {count} |" for story, count in summary["stories"].items()),
        "",
        "| fault | how often |",
        "|---|---:|",
        *(f"| {fault} | {count} |" for fault, count in summary["faults"].items()),
        "",
        "Medians of the middle and of the last third of the last process of each program:",
        "",
        f"| program | for s | {' | '.join(METRICS)} |",
        f"|---|---:|{'---:|' * len(METRICS)}",
    ]
    for program, grown in summary["growth"].items():
        if grown is not None:
            cells = " | ".join(f"{grown[name][0]} → {grown[name][1]}" for name in METRICS)
            lines.append(f"| {program} | {grown['seconds']} | {cells} |")
    writes = ", ".join(f"{name} {count}" for name, count in summary["rest_writes"].items())
    lines += [
        "",
        f"Writes in the {summary['rest_seconds']} s of rest at the end: {writes or 'not looked at'}.",
    ]
    return "\n".join(lines) + "\n"
