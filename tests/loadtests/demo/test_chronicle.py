"""What the report tells of a run."""

from __future__ import annotations

from loadtests.demo.chronicle import _story_with_decisions
from loadtests.demo.observation import Snapshot
from loadtests.demo.story import Told


def test_a_decision_is_told_once_and_when_it_is_known() -> None:
    """A change of replicas is told with its own sentence; a sentence that changes nothing is not told."""
    told = Told(story=[(0.0, "Load.")], revisions=["aaaaaaaa"])
    steady, up = {"aaaaaaaa": "stays at 1."}, {"aaaaaaaa": "3 hold it; 1 → 3."}
    samples = [
        (1.0, Snapshot(decisions=steady)),
        (2.0, Snapshot(decisions=up)),
        (3.0, Snapshot(decisions=up)),
    ]

    assert _story_with_decisions(samples, told) == [(0.0, "Load."), (2.0, "v1: 3 hold it; 1 → 3.")]
