"""The weights that the operator gave last, on the object that carries the traffic and in the same write."""

from __future__ import annotations

import json
from collections.abc import Mapping

from serving_api.names import WEIGHTS_ANNOTATION
from serving_operator.world import Manifest


def annotation(weights: Mapping[str, int]) -> dict[str, str]:
    """Return the annotation that tells the percent of each revision."""
    return {WEIGHTS_ANNOTATION: json.dumps(dict(weights), sort_keys=True, separators=(",", ":"))}


def written(live: Manifest | None) -> dict[str, int] | None:
    """Return what the annotation tells; None if there is none, or nothing of ours in it."""
    annotations = ((live or {}).get("metadata") or {}).get("annotations") or {}
    try:
        found = json.loads(annotations.get(WEIGHTS_ANNOTATION) or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
