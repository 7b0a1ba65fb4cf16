"""Which attempt is committed, as the stable Service carries it: in the write that makes it select the revision."""

from __future__ import annotations

import json
from typing import Any

from serving_api.names import COMMITTED_ANNOTATION, Attempt
from serving_api.status import PreviousStatus, StableStatus
from serving_operator.world import Manifest


def text(stable: StableStatus) -> str:
    """Return what the Service is to say, for a status that is lost."""
    said = {"id": stable.id, "committedAt": stable.committed_at}
    if stable.previous is not None:
        said["previous"] = stable.previous.id
    return json.dumps({name: value for name, value in said.items() if value is not None}, sort_keys=True)


def text_in(service: Manifest | None) -> str | None:
    """Return what the stable Service says; None where it says nothing."""
    found: str | None = (((service or {}).get("metadata") or {}).get("annotations") or {}).get(
        COMMITTED_ANNOTATION
    )
    return found


def of(service: Manifest | None) -> StableStatus | None:
    """Return the committed attempt that the stable Service tells of; None where it tells of none, or unreadably.

    Whoever restores a service writes it: that the operator itself has is not asked for.
    """
    try:
        said = json.loads(text_in(service) or "")
    except ValueError:
        return None
    attempt = Attempt.parse(said.get("id")) if isinstance(said, dict) else None
    return described(attempt, said) if attempt is not None else None


def described(attempt: Attempt, said: dict[str, Any]) -> StableStatus:
    """Return a committed attempt as a Service, or the record of one that an earlier release committed, describes it."""
    previous, at = Attempt.parse(said.get("previous")), said.get("committedAt")
    return StableStatus(
        id=str(attempt),
        revision=attempt.revision,
        committed_at=at if isinstance(at, str) else None,
        previous=PreviousStatus(id=str(previous), revision=previous.revision) if previous else None,
    )
