"""What the report tells of a run."""

from __future__ import annotations

from dataclasses import replace

from loadtests.demo.chronicle import _story_with_evidence
from loadtests.demo.evidence import Tally
from loadtests.demo.observation import Snapshot
from loadtests.demo.stage import Told


def test_a_decision_is_told_once_and_when_it_is_known() -> None:
    """A change of replicas is told with its own sentence; a sentence that changes nothing is not told."""
    told = Told(story=[(0.0, "Load.")], revisions=["aaaaaaaa"])
    steady, up = {"aaaaaaaa": "stays at 1."}, {"aaaaaaaa": "3 hold it; 1 → 3."}
    samples = [
        (1.0, Snapshot(decisions=steady)),
        (2.0, Snapshot(decisions=up)),
        (3.0, Snapshot(decisions=up)),
    ]

    assert _story_with_evidence(samples, told, []) == [(0.0, "Load."), (2.0, "v1: 3 hold it; 1 → 3.")]


def test_each_window_is_told_once_and_each_verdict() -> None:
    """A window is told when it is known; a step without one yet is not told; evidence of strangers is none."""
    told = Told(revisions=["aaaaaaaa", "bbbbbbbb"], attempts=["bbbbbbbb-2"])
    none = Tally("bbbbbbbb-2", 0, 0, 0, 0, 0, 0, 1.0, 1.0)
    one = replace(none, windows=1, requests=30, good_enough=2.2)
    known = [
        (1.0, none),
        (2.0, one),
        (3.0, one),
        (3.5, replace(one, attempt="cccccccc-1")),
        (4.0, replace(one, verdict="Good")),
    ]

    rows = _story_with_evidence([], told, known)
    assert [seconds for seconds, _ in rows] == [2.0, 4.0]
    assert rows[0][1].startswith("v2, step 1: 1 window; bad 0 of 30 (canary)")
    assert rows[1][1].endswith(": Good")
