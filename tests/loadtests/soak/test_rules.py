"""What must hold at every version."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.soak.rules import LAG_SECONDS, Rules
from serving_api.names import SERVICE_LABEL
from serving_io.kinds import HTTP_ROUTE, INFERENCE_SERVICE, SERVICE


def service(observed: int = 1, generation: int = 1, **status: Any) -> dict[str, Any]:
    """An InferenceService."""
    return {
        "metadata": {"name": "east", "uid": "1", "generation": generation},
        "status": {"observedGeneration": observed, **status},
    }


def route(**weights: int) -> dict[str, Any]:
    """Its route, with a weight for each revision."""
    backends = [{"name": f"east-{revision}", "weight": weight} for revision, weight in weights.items()]
    return {"metadata": {"name": "east"}, "spec": {"rules": [{"backendRefs": backends}]}}


def backend(revision: str) -> dict[str, Any]:
    """The Service of a revision."""
    return {"metadata": {"name": f"east-{revision}", "labels": {SERVICE_LABEL: "east"}}}


@pytest.mark.parametrize(
    ("why", "seen", "broken"),
    [
        ("all is well", service(canary={"id": "b-2"}, rejected=[{"id": "a-1"}]), ""),
        ("said before it was seen", service(observed=2), "ahead"),
        ("a rejected attempt goes on", service(canary={"id": "a-1"}, rejected=[{"id": "a-1"}]), "rejected"),
    ],
)
def test_a_status(why: str, seen: dict[str, Any], broken: str) -> None:
    """One version of a service."""
    rules = Rules()
    rules.see(INFERENCE_SERVICE, "MODIFIED", seen, 0.0)
    assert bool(rules.broken) == bool(broken), why
    assert broken in "".join(rules.broken)


def test_a_generation_does_not_go_back() -> None:
    """Of one service; of another one of the same name it begins anew."""
    rules = Rules()
    for observed in (2, 3):
        rules.see(INFERENCE_SERVICE, "MODIFIED", service(observed, 3), 0.0)
    other = service(1)
    other["metadata"]["uid"] = "2"
    rules.see(INFERENCE_SERVICE, "ADDED", other, 0.0)
    assert not rules.broken
    rules.see(INFERENCE_SERVICE, "MODIFIED", service(2, 3), 0.0)
    assert rules.broken == ["east: observedGeneration went back from 3 to 2"]


@pytest.mark.parametrize(
    ("why", "weights", "broken"),
    [
        ("stable alone", {"a": 100}, False),
        ("stable and canary, and one that leaves", {"a": 70, "b": 30, "c": 0}, False),
        ("a share is lost", {"a": 70, "b": 20}, True),
        ("three at once", {"a": 40, "b": 30, "c": 30}, True),
    ],
)
def test_weights(why: str, weights: dict[str, int], broken: bool) -> None:
    """Of one route."""
    rules = Rules()
    rules.see(HTTP_ROUTE, "MODIFIED", route(**weights), 0.0)
    assert bool(rules.broken) == broken, why


@pytest.mark.parametrize(
    ("why", "later", "broken"),
    [
        ("its weight was taken away, which was told later", lambda rules: rules.see(HTTP_ROUTE, "MODIFIED", route(a=100, b=0), 1.0), False),
        ("it was there again", lambda rules: rules.see(SERVICE, "ADDED", backend("b"), 1.0), False),
        ("all of the service went", lambda rules: rules.see(INFERENCE_SERVICE, "DELETED", service(), 1.0), False),
        ("the watch broke, and there is no route any more", lambda rules: rules.listed(HTTP_ROUTE, set()), False),
        ("nothing else happened", lambda rules: None, True),
    ],
)  # fmt: skip
def test_a_service_that_is_referred_to_stays(why: str, later: Any, broken: bool) -> None:
    """Nothing is removed that a route sends requests to; watches of two kinds are not in step."""
    rules = Rules()
    rules.see(INFERENCE_SERVICE, "ADDED", service(), 0.0)
    rules.see(HTTP_ROUTE, "ADDED", route(a=70, b=30), 0.0)
    rules.see(SERVICE, "DELETED", backend("b"), 0.5)
    later(rules)
    rules.look(1.0)
    assert not rules.broken
    rules.look(0.5 + LAG_SECONDS)
    assert bool(rules.broken) == broken, why
