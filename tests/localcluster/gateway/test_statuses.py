"""What Gateways and routes are told, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from localcluster.gateway.statuses import InForce, StatusWrite, status_writes
from localcluster.gateway.translate import translate
from localcluster.gateway.world import World
from tests.localcluster.gateway.objects import (
    LAYOUT,
    PARENT,
    PREFIX,
    gateway,
    route,
    rule,
    service,
    world,
)

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T01:00:00Z"
PORT_NAME = frozenset(["http-18080"])
SERVED = InForce(
    clusters=True,
    warming=False,
    listeners=PORT_NAME,
    routes=PORT_NAME,
    endpoints=frozenset([f"{PREFIX}/backend/a", f"{PREFIX}/backend/b"]),
)


def writes(seen: World, force: InForce = SERVED, now: str = NOW) -> dict[str, StatusWrite]:
    """Status writes by kind and name."""
    found = status_writes(seen, translate(seen, LAYOUT), force, now)
    return {f"{write.plural}/{write.item['metadata']['name']}": write for write in found}


def conditions(holder: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """(status, reason) by type of condition."""
    return {item["type"]: (item["status"], item["reason"]) for item in holder["conditions"]}


def answer(item: dict[str, Any], force: InForce = SERVED, **others: Any) -> dict[str, tuple[str, str]]:
    """The conditions of a route's only parent."""
    [parent] = writes(world(item, **others), force)["httproutes/iris"].status["parents"]
    return conditions(parent)


GOOD = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}


@pytest.mark.parametrize(
    ("item", "others", "changed"),
    [
        (route(rule(("a", 1))), {}, {}),
        (route(rule(("gone", 1))), {}, {"ResolvedRefs": ("False", "BackendNotFound")}),
        (
            route({"backendRefs": [{"name": "a", "port": 81}]}),
            {},
            {"ResolvedRefs": ("False", "BackendNotFound")},
        ),
        (
            route({"backendRefs": [{"name": "a", "port": 80, "namespace": "bank"}]}),
            {},
            {"ResolvedRefs": ("False", "RefNotPermitted")},
        ),
        (
            route({"backendRefs": [{"name": "a", "port": 80, "group": "x.io", "kind": "InferencePool"}]}),
            {},
            {"ResolvedRefs": ("False", "InvalidKind")},
        ),
        (
            route(rule(("a", 1))),
            {"services": [service("a", type="ExternalName")]},
            {"ResolvedRefs": ("False", "InvalidKind")},
        ),
        (
            route(rule(("a", 1), filters=[{"type": "URLRewrite"}])),
            {},
            {"Accepted": ("False", "UnsupportedValue")},
        ),
        (
            route(rule(("a", 1), matches=[{"path": {"type": "RegularExpression", "value": "/.*"}}])),
            {},
            {"Accepted": ("False", "UnsupportedValue")},
        ),
        (
            route(rule(("a", 1)), parentRefs=[PARENT | {"sectionName": "https"}]),
            {},
            {"Accepted": ("False", "NoMatchingParent")},
        ),
        (
            route(rule(("a", 1)), parentRefs=[PARENT | {"port": 9}]),
            {},
            {"Accepted": ("False", "NoMatchingParent")},
        ),
        (
            route(rule(("a", 1))),
            {"gateways": [gateway(allowedRoutes={"namespaces": {"from": "Same"}})]},
            {"Accepted": ("False", "NotAllowedByListeners")},
        ),
        (
            route(rule(("a", 1)), hostnames=["x.org"]),
            {"gateways": [gateway(hostname="*.example.com")]},
            {"Accepted": ("False", "NoMatchingListenerHostname")},
        ),
        (
            route(rule(("a", 1))),
            {"gateways": [gateway(protocol="HTTPS")]},
            {"Accepted": ("False", "NoMatchingParent")},
        ),
    ],
)
def test_a_route_is_told_what_is_wrong_with_it(item: Any, others: Any, changed: Any) -> None:
    """Each mistake has its condition and its reason; the other condition stays True."""
    assert answer(item, **others) == GOOD | changed


def test_a_message_names_the_field() -> None:
    """The reader learns which backend of which rule is meant."""
    seen = world(route(rule(("a", 1)), rule(("b", 1), ("gone", 1))))
    force = replace(SERVED, endpoints=SERVED.endpoints | {"httproute/shop/iris/rule/1/backend/b"})
    [parent] = writes(seen, force)["httproutes/iris"].status["parents"]
    message = parent["conditions"][1]["message"]
    assert message == "spec.rules[1].backendRefs[1]: Service shop/gone does not exist"


@pytest.mark.parametrize(
    "lacking",
    [
        {"clusters": False},
        {"warming": True},
        {"listeners": frozenset()},
        {"routes": frozenset()},
        {"endpoints": frozenset()},
    ],
)
def test_nothing_is_said_before_envoy_serves_it(lacking: dict[str, Any]) -> None:
    """A route is answered only when its clusters, endpoints, listener and routes are all in force."""
    assert "httproutes/iris" not in writes(world(route(rule(("a", 1)))), replace(SERVED, **lacking))


def test_a_refused_configuration_is_told_with_envoys_words() -> None:
    """Accepted is False and carries Envoy's message; the port's listener is not Programmed."""
    refused = replace(SERVED, routes=frozenset(), refused={"http-18080": "bad prefix"})
    found = writes(world(route(rule(("a", 1)))), refused)
    [parent] = found["httproutes/iris"].status["parents"]
    assert conditions(parent)["Accepted"] == ("False", "UnsupportedValue")
    assert "bad prefix" in parent["conditions"][0]["message"]
    status = found["gateways/local"].status
    assert conditions(status)["Programmed"] == ("False", "Invalid")
    assert conditions(status["listeners"][0])["Programmed"] == ("False", "Invalid")


def test_a_gateway_counts_its_routes_and_states_its_address() -> None:
    """The status of a served Gateway."""
    seen = world(
        route(rule(("a", 1))), route(rule(("b", 1)), name="other", parentRefs=[PARENT | {"port": 9}])
    )
    status = writes(seen)["gateways/local"].status
    assert status["addresses"] == [{"type": "IPAddress", "value": "127.0.0.1"}]
    assert status["listeners"][0]["attachedRoutes"] == 1
    assert conditions(status) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}


def _stored(seen: World, found: dict[str, StatusWrite]) -> None:
    for write in found.values():
        write.item["status"] = write.status


def test_a_status_that_says_it_already_is_not_written() -> None:
    """Once stored, nothing is written again, whatever the time."""
    seen = world(route(rule(("a", 1))), route(rule(("gone", 1)), name="broken"))
    first = writes(seen)
    assert set(first) == {"gatewayclasses/local", "gateways/local", "httproutes/iris", "httproutes/broken"}
    _stored(seen, first)
    assert writes(seen, now=LATER) == {}


def test_a_new_generation_is_observed_without_a_transition() -> None:
    """observedGeneration moves with the route; the time of transition only with the condition's status."""
    item = route(rule(("a", 1)))
    seen = world(item)
    _stored(seen, writes(seen))
    item["metadata"]["generation"] = 8
    [parent] = writes(seen, now=LATER)["httproutes/iris"].status["parents"]
    assert {entry["observedGeneration"] for entry in parent["conditions"]} == {8}
    assert {entry["lastTransitionTime"] for entry in parent["conditions"]} == {NOW}


def test_an_answer_in_force_outlives_a_newer_one_that_is_not() -> None:
    """While Envoy still lacks the new generation, the old answer stays as it is."""
    item = route(rule(("a", 1)))
    seen = world(item)
    _stored(seen, writes(seen))
    item["metadata"]["generation"] = 8
    assert writes(seen, replace(SERVED, routes=frozenset()), LATER) == {}


def test_answers_of_other_controllers_are_kept() -> None:
    """A route may have parents of several controllers; ours leaves theirs alone, and withdraws only its own."""
    foreign = {"parentRef": {"name": "other"}, "controllerName": "example.com/gateway", "conditions": []}
    item = route(rule(("a", 1)))
    item["status"] = {"parents": [foreign]}
    seen = world(item)
    found = writes(seen)
    assert found["httproutes/iris"].status["parents"][0] == foreign
    _stored(seen, found)
    item["spec"]["parentRefs"] = [PARENT | {"name": "other"}]
    assert writes(seen, now=LATER)["httproutes/iris"].status == {"parents": [foreign]}
