"""What the terminal shows of one moment."""

from __future__ import annotations

from rich.console import Console

from loadtests.demo.display import View, line, table
from loadtests.demo.evidence import Tally
from loadtests.demo.observation import Canary, RevisionReplicas, Snapshot
from loadtests.figures import interval

SNAPSHOT = Snapshot(
    replicas={"bbbbbbbb": RevisionReplicas(1, 1)},
    weights={"bbbbbbbb": 25},
    canary=Canary("bbbbbbbb-2", "bbbbbbbb", 25, "CollectingEvidence"),
)
TALLY = Tally("bbbbbbbb-2", 0, 3, 91, 1, 270, 2, 0.4123, 6.12)
RECENT = interval([], 0, 10, 0.5)
SENTENCE = (
    "step 1: 3 windows; bad 1 of 91 (canary), 2 of 270 (stable); worse than stable 0.412 (aborts at 13.5), "
    "good enough 6.12 (advances at 20)"
)


def test_evidence_is_told_while_there_is_some() -> None:
    """Table and line hold windows, counts of both sides and both ratios; without evidence they hold none of it."""
    console = Console(width=400)
    with console.capture() as shown:
        console.print(table(View(SNAPSHOT, [], 12, 200, TALLY), RECENT))
    assert f"evidence of bbbbbbbb-2, {SENTENCE}" in shown.get()
    assert line(View(SNAPSHOT, [], 12, 200, TALLY), RECENT).endswith(f"; evidence, {SENTENCE}")
    assert "evidence" not in line(View(SNAPSHOT, [], 12, 200, None), RECENT)
