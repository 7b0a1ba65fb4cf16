"""Values that follow from others."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from autoscaler.state import TargetState, history_bytes
from autoscaler.values import changed
from tests.autoscaler.world import Revision, World


def test_a_changed_value_is_what_a_replacement_would_be() -> None:
    """Equal, frozen, and the value that it follows from stays as it was."""
    before = TargetState(first_seen=1.0, own_fast=2.0)
    after = changed(before, own_fast=3.0, replicas=4)

    assert after == replace(before, own_fast=3.0, replicas=4)
    assert (before.own_fast, before.replicas) == (2.0, None)
    with pytest.raises(FrozenInstanceError):
        after.own_fast = 1.0  # type: ignore[misc]


def test_history_of_a_day_is_small() -> None:
    """Below 8 kB after an hour of loads that surprise, with pods that start in twenty seconds."""
    world = World(
        Revision("digits", service_seconds=0.1), rate=lambda at: 60.0 if at % 700 < 200 else 2.0, seed=1
    )
    world.run(3600)
    (state,) = world.state.targets.values()

    assert any(season.peaks is not None for season in state.seasons)
    assert any(surprises.steps is not None for surprises in state.surprises.values())
    assert 2784 < history_bytes(state) <= 8192
