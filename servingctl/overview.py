"""What the status of services says, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from servingctl.tables import age, table

Manifest = Mapping[str, Any]


def conditions_of(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return the conditions by type."""
    return {entry["type"]: entry for entry in (manifest.get("status") or {}).get("conditions") or ()}


def listed(services: Sequence[Manifest], now: datetime, *, namespaces: bool) -> str:
    """Return one line a service."""
    header = ["NAME", "READY", "REPLICAS", "STABLE", "CANARY", "WEIGHT", "VERDICT", "AGE", "REASON"]
    rows = []
    for service in services:
        metadata, status, conditions = (
            service["metadata"],
            service.get("status") or {},
            conditions_of(service),
        )
        canary = status.get("canary") or {}
        reason = next(
            (conditions[name] for name in ("Stalled", "Reconciling", "UpToDate") if name in conditions), {}
        )
        row = [
            metadata["name"],
            conditions.get("Ready", {}).get("status"),
            status.get("replicas"),
            (status.get("stable") or {}).get("revision"),
            canary.get("id"),
            canary.get("weight"),
            canary.get("verdict"),
            age(metadata.get("creationTimestamp"), now),
            reason.get("reason"),
        ]
        rows.append(([metadata["namespace"]] if namespaces else []) + row)
    return table((["NAMESPACE"] if namespaces else []) + header, rows)


def described(service: Manifest, now: datetime, *, width: int = 0) -> str:
    """Return all that the status of one service says."""
    metadata, status = service["metadata"], service.get("status") or {}
    lines = [f"{metadata['namespace']}/{metadata['name']}   {status.get('url') or 'without a URL'}"]
    if status.get("observedGeneration") != metadata.get("generation"):
        lines.append("the operator has not seen the latest change yet; if that lasts: servingctl check")
    stable, canary = status.get("stable") or {}, status.get("canary") or {}
    former = stable.get("previous") or {}
    committed = f", committed {age(stable.get('committedAt'), now)} ago" if stable.get("committedAt") else ""
    replaced = f"; it replaced {former['id']}" if former else ""
    lines.append(f"stable  {stable['id']}{committed}{replaced}" if stable else "stable  none yet")
    if canary:
        step = f", step {canary['step']}" if canary.get("step") is not None else ""
        weight = f" at {canary['weight']}%" if canary.get("weight") is not None else ""
        lines.append(f"canary  {canary['id']}{weight}{step}: {canary.get('verdict') or 'no verdict yet'}")
        lines += _evidence(canary.get("evidence") or {})
    for entry in status.get("rejected") or ():
        said = entry.get("message") or entry["reason"]
        lines.append(f"rejected  {entry['id']} {age(entry['time'], now)} ago: {said}")
    for entry in status.get("commands") or ():
        lines.append(f"command  {entry['kind']} {entry['id']} {age(entry['time'], now)} ago")
    rows = [
        (
            entry["type"],
            entry["status"],
            age(entry.get("lastTransitionTime"), now),
            entry["reason"],
            entry["message"],
        )
        for entry in status.get("conditions") or ()
    ]
    lines += (
        ["", table(("CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"), rows, width=width)] if rows else []
    )
    return "\n".join(lines)


def _evidence(evidence: Mapping[str, Any]) -> list[str]:
    if not evidence:
        return []
    return [
        f"  evidence by {evidence['source']}: canary {evidence['badRequests']} bad of {evidence['requests']}, stable "
        f"{evidence['stableBadRequests']} of {evidence['stableRequests']}, in {evidence['windows']} windows"
    ]
