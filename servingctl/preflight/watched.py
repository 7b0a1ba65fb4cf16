"""Which namespaces a program works in: told by its flags, its environment or the configuration, in this order."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servingctl.preflight.finding import Unasked

FLAG = "--namespace"
VARIABLE = "WATCH_NAMESPACE"


@dataclass(frozen=True, slots=True)
class Watched:
    """Namespaces of one program; all if there are none."""

    namespaces: tuple[str, ...] = ()
    doubt: str = ""
    """Why it may have been told others; empty if it is certain."""


def watched(deployment: Mapping[str, Any] | Unasked | None, configured: Watched) -> Watched:
    """Return what a program goes by that is started by this Deployment; `configured` is what the file says."""
    if deployment is None:
        return configured
    if isinstance(deployment, Unasked):
        return Watched(configured.namespaces, deployment.why)
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    environment = {
        entry["name"]: _value(entry, deployment["metadata"]["namespace"])
        for entry in container.get("env") or ()
    }
    stated = list(_stated([*(container.get("command") or ()), *(container.get("args") or ())]))
    text = environment.get(VARIABLE, "")
    if stated:
        text = re.sub(r"\$\((\w+)\)", lambda found: environment.get(found[1]) or found[0], ",".join(stated))
    if text is None or "$(" in text:
        return Watched(configured.namespaces, f"{FLAG if stated else VARIABLE} comes from another object")
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return Watched(names) if names else configured


def _stated(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the values of the flag, which may be one word with it or the next."""
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument == FLAG:
            yield following
        elif argument.startswith(f"{FLAG}="):
            yield argument.removeprefix(f"{FLAG}=")


def _value(entry: Mapping[str, Any], namespace: str) -> str | None:
    """Return what a variable holds; None if it cannot be known from here."""
    if "valueFrom" not in entry:
        return str(entry.get("value") or "")
    field = (entry["valueFrom"].get("fieldRef") or {}).get("fieldPath")
    return namespace if field == "metadata.namespace" else None
