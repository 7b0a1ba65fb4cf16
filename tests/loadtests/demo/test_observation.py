"""Snapshots: API objects in, what holds out."""

import copy

from loadtests.demo.observation import (
    Canary,
    RevisionReplicas,
    Snapshot,
    is_acknowledged,
    read,
    route_weights,
)

LABELS = {"serving-operator.dev/service": "digits", "serving-operator.dev/revision": "aaaaaaaa"}
SERVICE = {
    "metadata": {"name": "digits", "namespace": "demo"},
    "status": {
        "stable": {"id": "aaaaaaaa-1", "revision": "aaaaaaaa"},
        "canary": {"id": "bbbbbbbb-2", "revision": "bbbbbbbb", "weight": 20, "verdict": "waits"}
        | {
            "evidence": {"verdict": "Good"},
            "promotion": {"reason": "GoodEnough", "time": "t"},
        },
        "commands": [{"kind": "Promote", "id": "aaaaaaaa-1", "time": "t"}],
        "rejected": [{"id": "cccccccc-3", "revision": "cccccccc", "reason": "Aborted", "time": "t"}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "m"}],
    },
}
DEPLOYMENT = {
    "metadata": {"name": "digits-aaaaaaaa", "labels": LABELS},
    "spec": {"replicas": 3},
    "status": {"readyReplicas": 2},
}
ROUTE = {
    "metadata": {"name": "digits", "namespace": "demo", "generation": 4},
    "spec": {
        "parentRefs": [{"name": "local", "namespace": "gateway-system"}],
        "rules": [
            {
                "backendRefs": [
                    {"name": "digits-aaaaaaaa", "weight": 80},
                    {"name": "digits-bbbbbbbb", "weight": 20},
                ]
            }
        ],
    },
    "status": {
        "parents": [
            {
                "parentRef": {"name": "local", "namespace": "gateway-system"},
                "conditions": [
                    {"type": "Accepted", "status": "True", "observedGeneration": 4},
                    {"type": "ResolvedRefs", "status": "True", "observedGeneration": 4},
                ],
            }
        ]
    },
}
AUTOSCALER = {
    "metadata": {"name": "digits-aaaaaaaa", "labels": LABELS},
    "status": {"lastDecision": {"message": "3 replicas hold it."}, "learned": {"startTimeSeconds": 9}},
}


def test_a_snapshot_holds_what_the_objects_say() -> None:
    """Replicas, weights, canary, conditions and the autoscaler's sentence are read from their objects."""
    now = read("digits", [SERVICE], [DEPLOYMENT], [ROUTE], [AUTOSCALER])
    assert now.replicas == {"aaaaaaaa": RevisionReplicas(3, 2)}
    assert now.weights == {"aaaaaaaa": 80, "bbbbbbbb": 20}
    assert now.acknowledged
    assert (now.stable, now.rejected) == ("aaaaaaaa", ("cccccccc-3",))
    assert now.canary == Canary("bbbbbbbb-2", "bbbbbbbb", 20, "waits", {"verdict": "Good"}, "GoodEnough")
    assert now.reasons == {"cccccccc-3": "Aborted"}
    assert now.commands == (("Promote", "aaaaaaaa-1"),)
    assert now.conditions["Ready"].status == "True"
    assert now.decisions == {"aaaaaaaa": "3 replicas hold it."}
    assert now.start_time_seconds == 9
    assert (now.ready_of_stable, now.desired_of_stable) == (2, 3)


def test_objects_of_others_are_passed_over() -> None:
    """Nothing of another service, and nothing without a status, reaches the snapshot."""
    assert read("other", [SERVICE], [DEPLOYMENT], [ROUTE], [AUTOSCALER]) == Snapshot()
    assert read("digits", [{"metadata": {"name": "digits"}}], [], [], []) == Snapshot()


def test_weights_are_percent_of_their_sum() -> None:
    """Weights that do not add up to 100 are read as shares; a route without backends has none."""
    route = copy.deepcopy(ROUTE)
    route["spec"]["rules"][0]["backendRefs"][1]["weight"] = 0
    assert route_weights(route, "digits") == {"aaaaaaaa": 100, "bbbbbbbb": 0}
    assert route_weights({"spec": {}}, "digits") == {}


def test_acknowledged_needs_the_present_generation_of_every_parent() -> None:
    """An older generation, a condition that is False, or a parent without an entry is no acknowledgement."""
    assert is_acknowledged(ROUTE)
    older = copy.deepcopy(ROUTE)
    older["metadata"]["generation"] = 5
    unresolved = copy.deepcopy(ROUTE)
    unresolved["status"]["parents"][0]["conditions"][1]["status"] = "False"
    further = copy.deepcopy(ROUTE)
    further["spec"]["parentRefs"].append({"name": "another"})
    assert [is_acknowledged(one) for one in (older, unresolved, further)] == [False, False, False]
