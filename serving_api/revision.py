"""What makes a revision: the hash of the fields that shape the pod, in canonical form."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel

from serving_api.predictor import NOT_IN_REVISION, Predictor

_FORMER_RUNTIME = "mlserver"
"""Once the default of model.runtime: it stands in every model that was stored then, without having been said."""


def _canonical(value: Any) -> Any:
    """Return a value with defaults and empty collections dropped; an empty object stays, for it says something."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        stated = {
            name: getattr(value, name)
            for name, field in fields.items()
            if field.is_required() or getattr(value, name) != field.get_default(call_default_factory=True)
        }
        return {
            fields[name].alias or name: _canonical(item)
            for name, item in stated.items()
            if item not in (None, {}, [])
        }
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def canonical_fields(predictor: Predictor) -> dict[str, Any]:
    """Return the fields that shape the pod: quantities in one spelling, defaults and empty collections dropped.

    A field that a later CRD adds with a default appears on every stored object without a write. It must not make a
    new revision of the whole fleet, so what equals its default is as if absent.
    """
    shaping = predictor.model_copy(update=dict.fromkeys(NOT_IN_REVISION))
    fields: dict[str, Any] = dict(_canonical(shaping))
    if predictor.model is not None:
        runtime = predictor.model.runtime
        named = {} if runtime == _FORMER_RUNTIME else {"runtime": runtime or "*"}
        fields["model"] = {key: item for key, item in fields["model"].items() if key != "runtime"} | named
    return fields


def revision_of(predictor: Predictor) -> str:
    """Return the revision: the first 8 hex digits of the SHA-256 of the canonical fields."""
    text = json.dumps(canonical_fields(predictor), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
