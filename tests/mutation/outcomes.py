"""What became of each mutant, as mutmut has noted it, and what each changes."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import libcst as cst
from mutmut.mutation.diff_apply import read_functions_from_index
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

Outcome = Literal["killed", "timed out", "survived", "untested", "undecided"]
SURVIVED: frozenset[Outcome] = frozenset({"survived", "untested"})
NOTHING_NOTED: dict[str, dict[str, Any]] = {
    "exit_code_by_key": {},
    "durations_by_key": {},
    "estimated_durations_by_key": {},
}
_OUTCOMES: dict[str, Outcome] = {
    "killed": "killed",
    "timeout": "timed out",
    "segfault": "timed out",  # SIGKILL, after a limit of CPU time that the mutant outlived
    "survived": "survived",
    "no tests": "untested",
}


class Change(NamedTuple):
    """One difference between a function and its mutant."""

    file: str
    function: str
    """`name`, or `Class.name`."""
    was: str
    became: str
    """The lines that differ, without indentation, joined by spaces."""


@dataclass(frozen=True)
class Mutant:
    """A mutant that was made; `name` is mutmut's, and `seconds` what its tests took, on a clock."""

    name: str
    file: str
    outcome: Outcome
    seconds: float


def outcome(exit_code: int | None) -> Outcome:
    """What the exit code of a mutant's tests says; what mutmut calls interrupted or suspicious is undecided."""
    return _OUTCOMES.get(status_by_exit_code[exit_code], "undecided")


def mutants(tree: Path) -> Iterator[Mutant]:
    """All mutants of a part, by file and number."""
    made = tree / "mutants"
    for meta in sorted(made.rglob("*.meta")):
        known = noted(meta)
        file = str(meta.relative_to(made).with_suffix(""))
        for name, code in known["exit_code_by_key"].items():
            yield Mutant(name, file, outcome(code), known["durations_by_key"].get(name, 0.0))


def noted(meta: Path) -> dict[str, Any]:
    """What mutmut has noted of a file. It writes in place, so what was read last stands in for half a note."""
    last = meta.with_suffix(".last")
    try:
        text = meta.read_text()
        known: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        return json.loads(last.read_text()) if last.exists() else dict(NOTHING_NOTED)
    last.write_text(text)
    return known


def changes(tree: Path, of: Iterable[Mutant]) -> Iterator[tuple[Mutant, int, Change]]:
    """What each of these mutants changes, and the line of its file. Raises LookupError for what is not in the tree."""
    lines: dict[str, dict[str, int]] = {}
    for mutant in of:
        if mutant.file not in lines:
            lines[mutant.file] = function_lines((tree / mutant.file).read_text())
        with chdir(tree):
            functions = read_functions_from_index(mutant.name, mutant.file)
        if functions is None:
            raise LookupError(f"{mutant.name} is not in {tree}/mutants/{mutant.file}: run again")
        before, after = (cst.Module([function]).code for function in functions)
        name, of_class = orig_function_and_class_names_from_key(mutant.name)
        function = f"{of_class}.{name}" if of_class else name
        offset, was, became = difference(before, after)
        yield mutant, lines[mutant.file][function] + offset, Change(mutant.file, function, was, became)


def function_lines(source: str) -> dict[str, int]:
    """The line of the `def` of each function and method."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found[node.name] = node.lineno
        elif isinstance(node, ast.ClassDef):
            methods = [
                child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            found |= {f"{node.name}.{method.name}": method.lineno for method in methods}
    return found


def difference(before: str, after: str) -> tuple[int, str, str]:
    """Lines from the `def` to the first that differs, the lines that differ, and what stands in their place."""
    old, new = before.splitlines(), after.splitlines()
    head = next(
        n for n, pair in enumerate(zip([*old, None], [*new, None], strict=False)) if pair[0] != pair[1]
    )
    shorter = min(len(old), len(new)) - head
    tail = next((n for n in range(shorter) if old[-1 - n] != new[-1 - n]), shorter)
    begins = next(n for n, line in enumerate(old) if line.lstrip().startswith(("def ", "async def ")))
    was, became = (" ".join(line.strip() for line in text[head : len(text) - tail]) for text in (old, new))
    return head - begins, was, became
