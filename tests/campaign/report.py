"""What a campaign says: one table for people, one file of numbers for machines."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from tests.campaign import classes
from tests.campaign.mutants import EXPECTED_TO_SURVIVE
from tests.campaign.plan import REQUEST_FAULTS
from tests.campaign.scenarios import SCENARIOS

Line = dict[str, Any]
TITLES = {
    "crashes": "A: the process dies before and after each write",
    "late": "A: a write of a dead process arrives late",
    "deposed": "A: the leader stands still, loses its Lease, and goes on",
    "pairs": "A: two faults in one run",
    "faulted": f"B: each request meets each of {', '.join(REQUEST_FAULTS)}",
    "stale": "C: watches that lag, stall, lose, repeat, mix, expire, rewind",
    "unobserved": "D: done and undone while nobody looks",
    "sequences": "E: sequences of ten operations",
    "model": "F: interleavings drawn by Hypothesis",
}
KEYS = {
    "scenarios": "scenarios that were run",
    "points": "write points × {before, after}: runs of class A in which the process died there",
    "points_converged": "of these, runs that ended as without faults, in time, and stayed so",
    "invariant_violations": "broken invariants in all runs",
    "pairs": "runs with two faults",
    "faulted_requests": "runs of class B; requests_reference × 6 when the campaign is complete",
    "stale_watches": "runs of class C",
    "mutation_sequences": "runs of class E",
    "model_runs": "runs of class F",
    "unobserved_runs": "runs of class D",
    "late_writes": "runs in which a write of a dead process arrived after its successor led",
    "deposed_leaders": "runs in which a leader stood still until its successor led, and went on",
    "requests_reference": "requests of all scenarios without faults, the operator's own Lease aside",
    "not_converged": "runs of any class that did not converge",
    "runs": "runs of all classes, mutants aside",
    "runs_real_api": "of these, runs against a real API server",
    "mutants": "wrong operators that were tried",
    "mutants_killed": "of these, those that the short set noticed",
    "mutation_tool_killed_ratio": "share of a mutation tool's mutants that the tests kill, read from `make mutation`; or null",
    "mutation_tool_unknown": "why that is null; otherwise null",
    "missed": "runs in which not all that was planned went wrong; no other number counts them",
    "slowest_seconds": "virtual seconds from the last fault (in E and F from the last act and a rollout's time) to the end, at most",
    "cpu_minutes": "what all of it took, of one CPU",
    "code": "the operator, the fake and the campaign that this holds for, as a hash",
    "commit": "the commit that was checked out when the report was written",
    "kubernetes": "version of the real API server; null without one",
    "complete": "whether every item of every class was run",
}


def summary(
    lines: list[Line],
    total: int,
    requests: int,
    mutation_tool: tuple[float | None, str | None],
    provenance: Line,
) -> Line:
    """The numbers; `KEYS` says what each is.

    `total`: items of the whole; `requests`: those of all scenarios; `mutation_tool`: its ratio, or why there is none;
    `provenance`: code, commit and kubernetes.
    """
    of: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if not line.get("missed"):
            of[line["class"]].append(line)
    ran = [line for name in TITLES for line in of[name]]
    runs = {name: sum(line["runs"] for line in of[name]) for name in TITLES}
    return {
        "scenarios": len({_scenario(line) for line in ran} & SCENARIOS.keys()),
        "points": runs["crashes"],
        "points_converged": sum(line.get("converged", True) for line in of["crashes"]),
        "invariant_violations": sum(line.get("broken", 0) for line in ran),
        "pairs": runs["pairs"],
        "faulted_requests": runs["faulted"],
        "stale_watches": runs["stale"],
        "mutation_sequences": runs["sequences"],
        "model_runs": runs["model"],
        "unobserved_runs": runs["unobserved"],
        "late_writes": runs["late"],
        "deposed_leaders": runs["deposed"],
        "requests_reference": requests,
        "not_converged": sum(not line.get("converged", True) for line in ran),
        "runs": sum(runs.values()),
        "runs_real_api": sum(line["runs"] for line in ran if line["on"] == "real"),
        "mutants": len(of["mutants"]),
        "mutants_killed": sum(line["killed"] is not None for line in of["mutants"]),
        "mutation_tool_killed_ratio": mutation_tool[0],
        "mutation_tool_unknown": mutation_tool[1],
        "missed": sum(bool(line.get("missed")) for line in lines),
        "slowest_seconds": max((line.get("lag", 0.0) for line in ran), default=0.0),
        "cpu_minutes": round(sum(line.get("took", 0.0) for line in lines) / 60, 1),
        **provenance,
        "complete": len(lines) == total,
    }


def _scenario(line: Line) -> str | None:
    return json.loads(line["item"]).get("scenario") if line["item"].startswith("{") else None


def report(lines: list[Line], numbers: Line) -> str:
    """The table, what failed with its smallest plan, and the mutants."""
    rows = [
        "# Fault-injection campaign",
        "",
        "| class | runs on a real API server | runs on the fake | not converged | broken invariants |",
        "|---|---|---|---|---|",
    ]
    for name, title in TITLES.items():
        mine = [line for line in lines if line["class"] == name and not line.get("missed")]
        real, fake = (sum(line["runs"] for line in mine if line["on"] == on) for on in ("real", "fake"))
        lost = sum(not line.get("converged", True) for line in mine)
        broken = sum(line.get("broken", 0) for line in mine)
        rows.append(f"| {title} | {real} | {fake} | {lost} | {broken} |")
    rows += ["", f"{numbers['scenarios']} scenarios.", ""]
    rows += [f"* `{key}`: {numbers[key]} ({text})" for key, text in KEYS.items()]
    failed = [line for line in lines if line.get("problems")]
    if failed:
        again = "Again: `.venv/bin/python -m tests.campaign --replay PLAN`, with `--real-api` where it failed there alone."
        rows += ["", "## What failed", "", again, ""]
        rows += [
            f"* `{line['plan']}`{'' if line['fails_on_fake'] else ' (on the real API server alone)'}: "
            + "; ".join(line["problems"])
            for line in failed[:200]
        ]
    tried = [line for line in lines if line["class"] == "mutants"]
    survived = [line["item"] for line in lines if line["class"] == "mutants" and line["killed"] is None]
    rows += ["", f"## Mutants: {numbers['mutants_killed']} of {numbers['mutants']} killed", ""]
    rows += [
        f"* survived: {name}. {EXPECTED_TO_SURVIVE.get(name, 'Not explained yet.')}" for name in survived
    ]
    rows += [f"* {line['item']}: {line['killed']}" for line in tried if line["killed"] is not None]
    rows += [
        "",
        "Sample sizes: ",
        f"pairs {classes.PAIRS}, deposed {classes.DEPOSED}, stale {classes.STALE}, model {classes.MODEL_RUNS}.",
    ]
    return "\n".join(rows) + "\n"
