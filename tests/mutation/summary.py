"""What the mutants say: one file of numbers for machines, one report for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.mutation.parts import ENOUGH_RATIO, OUT

KEYS = {
    "commit": "the commit at which the command ran last, with `-dirty` if files differed from it",
    "mutants": "mutants that were made",
    "killed": "of these, those with which a test failed",
    "timed_out": "those with which the tests did not end; they count as killed",
    "survived": "those with which every test passed that reaches their function, equivalent ones included",
    "untested": "those that no test reaches; they count as survivors",
    "equivalent": "survivors that do what the original does, each with a reason in tests/mutation/equivalent.toml",
    "undecided": "those that were not tried yet",
    "killed_ratio": "(killed + timed_out) / (mutants − equivalent), 0 to 1; null while any is undecided",
    "enough_ratio": "the least killed_ratio that the exit code calls enough",
    "modules": "the same counts by file, and cpu_minutes: the part's, shared out by the time its mutants took",
    "cpu_minutes": "minutes of CPU time by part, of all commands together that tried it",
    "complete": "whether every mutant of every part is decided",
}
COUNTED = ("killed", "timed out", "survived", "untested", "undecided")


def counts(outcomes: Iterable[str], equivalent: int) -> dict[str, Any]:
    """The counts of some mutants and their ratio. `equivalent`: how many of those that survived are excused."""
    of = Counter(outcomes)
    found: dict[str, Any] = {"mutants": of.total()}
    found |= {outcome.replace(" ", "_"): of[outcome] for outcome in COUNTED}
    held = of.total() - equivalent
    decided = held and not of["undecided"]
    ratio = round((of["killed"] + of["timed out"]) / held, 4) if decided else None
    return found | {"equivalent": equivalent, "killed_ratio": ratio}


def summary(
    commit: str,
    outcomes: Mapping[str, Sequence[str]],
    equivalent: Mapping[str, int],
    minutes: Mapping[str, float],
    module_minutes: Mapping[str, float],
    untried: Sequence[str],
) -> dict[str, Any]:
    """The numbers; `KEYS` says what each is.

    Outcomes, equivalent ones and minutes of CPU time by file, minutes by part; `untried`: parts of which no mutant
    was made yet.
    """
    whole = counts([outcome for of in outcomes.values() for outcome in of], sum(equivalent.values()))
    if untried:
        whole["killed_ratio"] = None
    modules = {
        file: counts(of, equivalent.get(file, 0)) | {"cpu_minutes": round(module_minutes.get(file, 0.0), 2)}
        for file, of in sorted(outcomes.items())
        if of
    }
    return {
        "commit": commit,
        **whole,
        "enough_ratio": ENOUGH_RATIO,
        "modules": modules,
        "cpu_minutes": {part: round(spent, 1) for part, spent in minutes.items()},
        "complete": not untried and not whole["undecided"],
    }


def killed_ratio(path: Path = OUT / "summary.json") -> tuple[float | None, str | None]:
    """The ratio that was measured, or None and why there is none."""
    if not path.exists():
        return None, "`make mutation` has not run here"
    numbers = json.loads(path.read_text())
    if not numbers["complete"]:
        return (
            None,
            f"`make mutation` has not tried all mutants yet: {numbers['undecided']} that it has made are left",
        )
    return numbers["killed_ratio"], None


def report(numbers: Mapping[str, Any], survivors: Sequence[str], excused: Sequence[str]) -> str:
    """The table by module, every survivor, and every equivalent mutant."""
    head = "| module | mutants | killed | timed out | survived | untested | undecided | equivalent | killed ratio | CPU minutes |"
    rows = ["# Mutants", "", head, "|---" * head.count(" |") + "|"]
    for name, of in {**numbers["modules"], "all": numbers}.items():
        minutes = sum(of["cpu_minutes"].values()) if name == "all" else of["cpu_minutes"]
        told = [
            of[key]
            for key in ("mutants", "killed", "timed_out", "survived", "untested", "undecided", "equivalent")
        ]
        ratio = "" if of["killed_ratio"] is None else f"{of['killed_ratio']:.1%}"
        rows.append("| " + " | ".join(map(str, (name, *told, ratio, f"{minutes:.1f}"))) + " |")
    rows += ["", f"## Survivors: {len(survivors)}", "", *survivors]
    rows += ["", f"## Equivalent: {len(excused)}", "", *excused]
    return "\n".join(rows) + "\n"
