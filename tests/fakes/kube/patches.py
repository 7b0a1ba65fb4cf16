"""Merge patch (RFC 7386), JSON patch (RFC 6902) and label selectors."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

Json = Any


def merge_patched(target: Json, patch: Json) -> Json:
    """The target after a merge patch; null removes."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def json_patched(target: Json, operations: list[dict[str, Json]]) -> Json:
    """The target after add, replace, remove and test; raises if one cannot be done."""
    target = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [
            step.replace("~1", "/").replace("~0", "~") for step in operation["path"].split("/")[1:]
        ]
        holder = target
        for step in parents:
            holder = holder[int(step) if isinstance(holder, list) else step]
        index: Any = last if isinstance(holder, dict) else len(holder) if last == "-" else int(last)
        match operation["op"]:
            case "test":
                if holder[index] != operation["value"]:
                    raise ValueError(f"testing value {operation['path']} failed")
            case "remove":
                del holder[index]
            case "add" if isinstance(holder, list):
                holder.insert(index, operation["value"])
            case "add":
                holder[index] = operation["value"]
            case "replace":
                holder[index]  # a missing target is an error
                holder[index] = operation["value"]
            case unknown:
                raise ValueError(f"operation {unknown!r} is not emulated")
    return target


def label_selector(text: str) -> Callable[[dict[str, str]], bool]:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k` as a predicate over labels."""
    tests = [_test(part.strip()) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _test(part: str) -> Callable[[dict[str, str]], bool]:
    if listed := re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", part):
        values = {value.strip() for value in listed[3].split(",")}
        return lambda labels: (labels.get(listed[1]) in values) == (listed[2] == "in")
    if equal := re.fullmatch(r"([^=!\s]+)\s*(==?|!=)\s*(\S*)", part):
        return lambda labels: (labels.get(equal[1]) == equal[3]) == (equal[2] != "!=")
    return lambda labels: (part.lstrip("!") in labels) != part.startswith("!")
