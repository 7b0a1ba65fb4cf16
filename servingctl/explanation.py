"""Why so many replicas: the autoscaler's own account of its last decision, with what only the object says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from autoscaler.explain import links
from servingctl.tables import age

Manifest = Mapping[str, Any]


def chain(autoscaler: Manifest, now: datetime) -> list[tuple[str, str]]:
    """Return the links of the last decision in order: (name, sentence)."""
    return list(_links(autoscaler["spec"], autoscaler.get("status") or {}, now))


def text(autoscaler: Manifest, role: str, now: datetime) -> str:
    """Return the chain for people."""
    found = chain(autoscaler, now)
    width = max(len(name) for name, _ in found) + 2
    head = f"{autoscaler['metadata']['name']}{f' ({role})' if role else ''}"
    return "\n".join([head, *(f"  {name.ljust(width)}{words}" for name, words in found)])


def _links(spec: Manifest, status: Manifest, now: datetime) -> Iterator[tuple[str, str]]:
    if not status:
        yield (
            "replicas",
            "none decided yet: the autoscaler has not looked at it; if that lasts: servingctl check",
        )
        return
    yield from links(status, spec)
    if decision := status.get("lastDecision"):
        exist = status.get("observedReplicas", "?")
        yield "since", f"{age(decision['time'], now)}; {exist} exist"
    if spec.get("mode") == "Advise":
        yield "mode", "Advise: it says what it would do, and changes nothing"
