"""What makes a revision: the hash of the fields that shape the pod, in canonical form."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from serving_api.predictor import NOT_IN_REVISION, Predictor


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def canonical_fields(predictor: Predictor) -> dict[str, Any]:
    """Return the fields that shape the pod: quantities in one spelling, defaults and empty values dropped.

    A field that a later CRD adds with a default appears on every stored object without a write. It must not make a
    new revision of the whole fleet, so what equals its default is as if absent.
    """
    fields = predictor.model_dump(
        mode="json", by_alias=True, exclude=set(NOT_IN_REVISION), exclude_none=True, exclude_defaults=True
    )
    return dict(_without_empty(fields))


def revision_of(predictor: Predictor) -> str:
    """Return the revision: the first 8 hex digits of the SHA-256 of the canonical fields."""
    text = json.dumps(canonical_fields(predictor), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
