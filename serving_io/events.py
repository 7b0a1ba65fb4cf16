"""Events for people, in the current API (`events.k8s.io/v1`)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Literal

from serving_io.cluster import Cluster, Manifest
from serving_io.errors import ApiError

NOTE_LIMIT = 1024
"""Bytes of a note that the API server accepts."""
NAME_PREFIX_LIMIT = 57
"""Characters of the object's name in the event's: a generated suffix takes the rest of a DNS label."""

log = logging.getLogger(__name__)


async def post_event(
    cluster: Cluster,
    regarding: Manifest,
    *,
    type: Literal["Normal", "Warning"],
    reason: str,
    note: str,
    action: str,
    related: Manifest | None = None,
) -> Manifest:
    """Say what happened to `regarding`: `reason` and `action` in one CamelCase word, `note` a sentence.

    Post on transitions only: nothing here aggregates.
    """
    about = _reference(regarding)
    event: Manifest = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "generateName": f"{about['name'][:NAME_PREFIX_LIMIT].rstrip('-.')}-",
            "namespace": about.get("namespace") or "default",
        },
        "eventTime": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": f"serving-operator.dev/{cluster.field_manager}",
        "reportingInstance": cluster.instance[:128],
        "type": type,
        "reason": reason,
        "action": action,
        "note": _shortened(note),
        "regarding": about,
    }
    if related is not None:
        event["related"] = _reference(related)
    return await cluster.create(event)


async def tell(
    cluster: Cluster,
    regarding: Manifest,
    *,
    type: Literal["Normal", "Warning"],
    reason: str,
    note: str,
    action: str,
) -> None:
    """Post an event, and log where it is refused: it is news for people, and nothing depends on it."""
    try:
        await post_event(cluster, regarding, type=type, reason=reason, note=note, action=action)
    except ApiError as error:
        about = _reference(regarding)
        where = f"{about.get('kind')} {about.get('namespace')}/{about.get('name')}"
        log.warning("%s: event %s could not be posted: %s", where, reason, error)


def _reference(manifest: Manifest) -> dict[str, str]:
    metadata = manifest["metadata"]
    fields = {
        "apiVersion": manifest.get("apiVersion"),
        "kind": manifest.get("kind"),
        **{key: metadata.get(key) for key in ("name", "namespace", "uid", "resourceVersion")},
    }
    return {key: value for key, value in fields.items() if value}


def _shortened(note: str) -> str:
    whole = note.encode()
    return note if len(whole) <= NOTE_LIMIT else whole[: NOTE_LIMIT - 3].decode(errors="ignore") + "…"
