"""Which Gateways `servingctl check NAME` looks at: those of the service, else those of the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from serving_api.configuration import RouteConfiguration
from servingctl.preflight.finding import Finding
from servingctl.preflight.route import Parents, parents
from tests.servingctl.conftest import Check
from tests.servingctl.set_up import SetUp, service

CONFIGURATION = "{prometheus: {url: 'URL'}, route: {parentRefs: [{name: %s, namespace: ns}]}}"


def without_parents(**changes: Any) -> dict[str, Any]:
    """A service that names no Gateway itself."""
    made = service()
    del made["spec"]["route"]
    made["spec"] |= changes
    return made


@pytest.mark.parametrize(
    ("setup", "line", "code"),
    [
        (
            SetUp(route={}, configuration=CONFIGURATION % "public"),
            "OK        Gateway ns/public",
            0,
        ),
        (
            SetUp(route={}, configuration=CONFIGURATION % "gone"),
            "route.parentRefs of ConfigMap serving-system/serving-config names this one -> name one that does there, or in spec",
            1,
        ),
        (
            SetUp(route={}),
            "spec.route.parentRefs names none, and the configuration has no route.parentRefs (defaults: there is no ConfigMap",
            1,
        ),
    ],
)
def test_a_service_that_names_no_gateway(check: Check, setup: SetUp, line: str, code: int) -> None:
    """Those of the administrator's configuration are looked at; where one is missing it is told who names it."""
    ran = check(setup)

    assert line in ran.out
    assert ran.code == code, ran.out


def test_what_may_not_be_read_is_no_failure() -> None:
    """Whoever may not read the configuration does not know which Gateways the service gets."""
    found = parents(
        without_parents(route={}), RouteConfiguration(), "defaults: it may not be read", is_known=False
    )

    assert isinstance(found, Finding)
    assert (found.level, "it may not be read" in found.message) == ("Unknown", True)


def test_a_service_without_a_route_has_no_gateways() -> None:
    """Whatever the configuration names."""
    configured = RouteConfiguration.model_validate({"parentRefs": [{"name": "public"}]})

    assert parents(without_parents(), configured, "ConfigMap a/b", is_known=True) == Parents(())
