"""Courses as they are observed, and what is recorded of them."""

from __future__ import annotations

from typing import Any

from loadtests.demo.observation import Canary, ConditionView, RevisionReplicas, Snapshot

OLD, NEW = "aaaaaaaa", "bbbbbbbb"
ATTEMPT = f"{NEW}-2"
ONE = RevisionReplicas(1, 1, 1)
READY = {"Ready": ConditionView("True", "Ready", "")}
GOING_ON = READY | {"Reconciling": ConditionView("True", "Advancing", "")}


def seen(**fields: Any) -> Snapshot:
    """A moment; the old revision serves unless it says otherwise."""
    stated = {"stable": OLD, "weights": {OLD: 100}, "replicas": {OLD: ONE}, "acknowledged": True}
    return Snapshot(**(stated | {"conditions": GOING_ON} | fields))


def canary(weight: int | None = None) -> Canary:
    """The attempt under way."""
    return Canary(ATTEMPT, NEW, weight, "")


BOTH = {OLD: ONE, NEW: ONE}
STEP = {OLD: 75, NEW: 25}
BEGINNING = [
    seen(conditions=READY),
    seen(replicas={OLD: ONE}, canary=canary()),
    seen(replicas={OLD: ONE, NEW: RevisionReplicas(1, 0, 1)}, canary=canary()),
    seen(replicas=BOTH, canary=canary(), weights=STEP, acknowledged=False),
    seen(replicas=BOTH, canary=canary(), weights=STEP),
    seen(replicas=BOTH, canary=canary(25), weights=STEP),
]
PROMOTED = [
    *BEGINNING,
    seen(replicas=BOTH, canary=canary(25), weights={OLD: 0, NEW: 100}, acknowledged=False),
    seen(replicas=BOTH, canary=canary(100), weights={OLD: 0, NEW: 100}),
    seen(replicas=BOTH, stable=NEW, weights={OLD: 0, NEW: 100}),
    seen(replicas=BOTH, stable=NEW, weights={NEW: 100}),
    seen(replicas={NEW: ONE}, stable=NEW, weights={NEW: 100}),
    seen(replicas={NEW: ONE}, stable=NEW, weights={NEW: 100}, conditions=READY),
]
ABORTED = [
    *BEGINNING,
    seen(replicas=BOTH, canary=canary(25), weights={OLD: 100, NEW: 0}, acknowledged=False),
    seen(replicas=BOTH, rejected=(ATTEMPT,)),
    seen(rejected=(ATTEMPT,)),
    seen(rejected=(ATTEMPT,), reasons={ATTEMPT: "AbortedByLabel"}, conditions=READY),
]
