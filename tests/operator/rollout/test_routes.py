"""Defaults and limits of routes: what the administrator's configuration makes of `spec.route`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from serving_api.configuration import RouteConfiguration, parse
from serving_operator.routes import INCOMPLETE, NOT_ALLOWED, lack, refusal
from serving_operator.world import Manifest
from tests.operator.rollout.simulation import SETTINGS, Simulation, inference_service, revision, settled

TEAM: dict[str, Any] = {
    "namespaces": ["demo"],
    "parentRefs": [{"name": "local", "namespace": "gateway"}],
    "hostnameSuffixes": [".demo.test", "digits.test"],
}
ALL = {"namespaces": ["*"], "hostnameSuffixes": [".shared.test"]}


def configured(**route: Any) -> RouteConfiguration:
    """The configuration's part on routes."""
    return parse({"route": route}).route


def cluster(route: Manifest, configuration: RouteConfiguration) -> Simulation:
    """A service with a route under a configuration, after everybody has acted for a while."""
    made = Simulation(inference_service(route=route))
    made.settings = replace(SETTINGS, route=configuration)
    made.run(20)
    return made


def with_hostname(name: str) -> Manifest:
    """The service with another host name."""
    made = inference_service()
    made["spec"]["route"]["hostnames"] = [name]
    return made


def test_an_empty_route_gets_the_defaults() -> None:
    """Gateways and host name come from the configuration."""
    defaults = configured(
        parentRefs=[{"name": "public", "namespace": "gateways"}],
        hostnameTemplate="{name}.{namespace}.example.com",
    )

    made = cluster({}, defaults)

    assert made.route is not None
    assert made.route["spec"]["hostnames"] == ["digits.demo.example.com"]
    (parent,) = made.route["spec"]["parentRefs"]
    assert (parent["namespace"], parent["name"]) == ("gateways", "public")


def test_what_is_stated_goes_before_the_defaults() -> None:
    """A field of the spec is taken as it is, beside a default of the other one."""
    defaults = configured(parentRefs=[{"name": "public"}], hostnameTemplate="{name}.example.com")

    made = cluster({"hostnames": ["mine.test"]}, defaults)

    assert made.route is not None
    assert made.route["spec"]["hostnames"] == ["mine.test"]
    assert made.route["spec"]["parentRefs"][0]["name"] == "public"


def test_a_route_that_lacks_something_is_not_written() -> None:
    """Without a default nothing is guessed: the service serves inside the cluster, and says what is missing."""
    made = cluster({"hostnames": ["mine.test"]}, RouteConfiguration())

    assert made.route is None
    assert made.status["url"] == "http://digits.demo.svc"
    for kind in ("RouteProgrammed", "Stalled"):
        said = made.condition(kind)
        assert said is not None
        assert (said["reason"], "set spec.route.parentRefs" in said["message"]) == (INCOMPLETE, True)


def test_what_is_not_allowed_leaves_the_route_as_it_was() -> None:
    """An edit to another team's host name changes nothing but the conditions; taking it back ends them."""
    made = settled()
    made.settings = replace(SETTINGS, route=configured(allowed=[TEAM]))
    before = copy.deepcopy(made.route)
    made.apply(with_hostname("other.team.test"))
    made.run(5)

    assert made.route == before
    said = made.condition("RouteProgrammed")
    assert said is not None
    assert (said["status"], said["reason"]) == ("False", NOT_ALLOWED)
    assert "allowed: .demo.test, digits.test" in said["message"]

    made.apply(with_hostname("digits.test"))
    made.run(5)
    said = made.condition("RouteProgrammed")
    assert said is not None
    assert said["status"] == "True"
    assert made.condition("Stalled") is None


@pytest.mark.parametrize(
    ("parent", "hostname", "namespace", "allowed"),
    [
        ({"name": "local", "namespace": "gateway"}, "x.demo.test", "demo", True),
        ({"name": "local", "namespace": "gateway"}, "*.demo.test", "demo", True),
        ({"name": "local", "namespace": "gateway"}, "digits.test", "demo", True),
        ({"name": "local", "namespace": "gateway"}, "x.digits.test", "demo", False),
        ({"name": "local", "namespace": "gateway"}, "demo.test", "demo", False),
        ({"name": "local", "namespace": "gateway"}, "x.shared.test", "demo", True),
        ({"name": "local", "namespace": "other"}, "x.shared.test", "demo", True),
        ({"name": "local"}, "x.shared.test", "elsewhere", True),
        ({"name": "local"}, "x.demo.test", "elsewhere", False),
    ],
)
def test_what_entries_allow_adds_up(parent: Manifest, hostname: str, namespace: str, allowed: bool) -> None:
    """An entry counts for its namespaces; a list that it lacks allows anything; a suffix without a dot is one name."""
    route = {"parentRefs": [parent], "hostnames": [hostname]}

    assert (refusal(route, namespace, configured(allowed=[TEAM, ALL])) is None) == allowed


def test_a_gateway_is_compared_in_what_was_stated_of_it() -> None:
    """Without a section any listener of the Gateway is allowed, with one only that; the namespace defaults to one's own."""
    one = configured(
        allowed=[{"namespaces": ["*"], "parentRefs": [{"name": "local", "sectionName": "http"}]}]
    )
    route: Manifest = {"parentRefs": [{"name": "local"}], "hostnames": ["a.test"]}

    assert refusal(route, "demo", one) is not None
    route["parentRefs"] = [{"name": "local", "namespace": "demo", "sectionName": "http", "port": 80}]
    assert refusal(route, "demo", one) is None
    assert lack(route) is None


def test_nobody_is_named_nothing_is_allowed() -> None:
    """Where there are entries and none is for the namespace, its services get no route."""
    route = {"parentRefs": [{"name": "local"}], "hostnames": ["a.test"]}

    found = refusal(route, "elsewhere", configured(allowed=[TEAM]))

    assert found is not None
    assert "allowed: none" in found[1]


def test_a_service_whose_route_is_not_written_takes_over_by_its_label() -> None:
    """As where no route can be: what is known of the switch is kept from look to look."""
    route = {"hostnames": ["mine.test"]}
    made = cluster(route, RouteConfiguration())
    made.apply(inference_service("b", route=route))
    made.run(20)
    made.label("Promote", made.status["canary"]["id"])
    made.run(20)

    assert made.status["stable"]["revision"] == revision("b")
    assert made.selected == revision("b")
    assert "canary" not in made.status
