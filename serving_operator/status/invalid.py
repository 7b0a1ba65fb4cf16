"""A stored spec that this operator cannot read: it says so, and leaves everything as it is."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError

from serving_operator.status.conditions import Said
from serving_operator.status.report import merged
from serving_operator.world import Manifest, World


def status(world: World, error: ValidationError, now: datetime) -> Manifest:
    """Return the live status with Stalled, naming each field at fault."""
    faults = "; ".join(
        f"spec.{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()
    )
    live = dict(world.service.get("status") or {})
    generation = int(world.service["metadata"].get("generation", 1))
    said = Said(
        "Stalled", "True", "InvalidSpec", f"The spec cannot be acted on; correct it and apply it: {faults}"
    )
    others = [
        entry for entry in live.get("conditions") or () if entry["type"] not in ("Stalled", "Reconciling")
    ]
    return live | {
        "observedGeneration": generation,
        "conditions": [*others, *merged(live, [said], generation, now)],
    }
