"""Mutants that no test can kill, because they do what the original does: each with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

import libcst as cst
from mutmut.mutation.file_mutation import create_mutations, deep_replace

from tests.mutation.outcomes import Change, difference

FILE = Path(__file__).with_name("equivalent.toml")


def known(path: Path = FILE) -> dict[Change, str]:
    """The reasons. Raises ValueError for an entry that lacks one, or that is there twice."""
    reasons: dict[Change, str] = {}
    for entry in tomllib.loads(path.read_text()).get("equivalent", []):
        for became in entry["became"]:
            change = Change(entry["file"], entry["function"], entry["was"], became)
            if len(entry.get("reason", "").split()) < 3:
                raise ValueError(f"{path.name}: {change}: `reason` must say why no test can tell")
            if change in reasons:
                raise ValueError(f"{path.name}: {change} is there twice: remove one")
            reasons[change] = entry["reason"]
    return reasons


def made(file: str, source: str, functions: Iterable[str]) -> set[Change]:
    """What mutmut changes in these functions of a file, without running anything."""
    module, mutations, *_ = create_mutations(file, source)
    names = {id(node): name for name, node in _functions(module) if name in set(functions)}
    found = set()
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if function is None or id(function) not in names:
            continue
        mutated = deep_replace(function, mutation.original_node, mutation.mutated_node)
        assert isinstance(mutated, cst.FunctionDef)
        _, was, became = difference(module.code_for_node(function), module.code_for_node(mutated))
        found.add(Change(file, names[id(function)], was, became))
    return found


def _functions(module: cst.Module) -> Iterable[tuple[str, cst.FunctionDef]]:
    for node in module.body:
        if isinstance(node, cst.FunctionDef):
            yield node.name.value, node
        elif isinstance(node, cst.ClassDef):
            for child in node.body.body:
                if isinstance(child, cst.FunctionDef):
                    yield f"{node.name.value}.{child.name.value}", child
