"""What Kopf does at each event is what it is used for, and no more."""

from __future__ import annotations

from serving_operator.observe import settings
from serving_operator.watched import WATCHED


def test_no_object_is_copied_for_a_comparison() -> None:
    """Kopf compares objects for handlers that are not used: whatever it is given, nothing of it is looked at."""
    storage = settings(WATCHED).persistence.diffbase_storage
    nothing_can_be_read = object()

    assert storage.build(body=nothing_can_be_read) == {}
    assert storage.fetch(body=nothing_can_be_read) is None
