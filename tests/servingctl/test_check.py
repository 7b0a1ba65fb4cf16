"""`servingctl check` names the cause in each broken set-up, against the fake API server and a Prometheus over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from serving_api.names import AUTOSCALER, OPERATOR
from servingctl.preflight.judge import doubled
from servingctl.preflight.rights import RIGHTS, Right
from servingctl.preflight.signals import Series
from tests.servingctl.conftest import Check
from tests.servingctl.set_up import AHEAD_SECONDS, SetUp

ROOT = Path(__file__).parents[2]


def without(resource: str, verb: str) -> list[dict[str, list[str]]]:
    """All rights of the operator but one."""
    return [
        {"verbs": [right.verb], "apiGroups": [right.group], "resources": [right.resource]}
        for right in RIGHTS
        if right.program == OPERATOR and (right.resource, right.verb) != (resource, verb)
    ]


BROKEN: dict[str, tuple[SetUp, str, str, int]] = {
    "no Gateway API": (SetUp(gateway_api=False), "Gateway API", "it is not installed", 0),
    "no class": (SetUp(gateway_class=""), "Gateway ns/public", "its class envoy does not exist", 1),
    "class not accepted": (
        SetUp(gateway_class="False"),
        "GatewayClass envoy",
        "parametersRef is not there",
        1,
    ),
    "wrong Prometheus URL": (
        SetUp(url="http://127.0.0.1:9"),
        "Prometheus",
        "does not answer (Unreachable)",
        1,
    ),
    "URL of something else": (SetUp(page="<html>log in</html>"), "Prometheus", "not as Prometheus does", 1),
    "token refused": (SetUp(token="secret"), "Prometheus", "refuses who asks (HTTP 401)", 1),
    "label missing": (SetUp(labels={"namespace": "ns"}), "signal requests", "lack the label pod", 1),
    "second scrape of the same pods": (
        SetUp(scrapes=2),
        "signal requests",
        "scraped twice: series differ in instance (10.0.0.1:8082 and",
        1,
    ),
    "pods not scraped": (SetUp(is_scraped=False), "signal scraped", "does not scrape the pods", 1),
    "samples are old": (SetUp(age_seconds=400), "signal requests", "s old: it is scraped no longer", 1),
    "no CRDs": (SetUp(crds=False), "CRD inferenceservices", "it is not installed", 1),
    "no CRD of runtimes": (
        SetUp(lacks_crd="servingruntimes.yaml"),
        "CRD servingruntimes",
        "it is not installed",
        1,
    ),
    "no CRD of the cluster's runtimes": (
        SetUp(lacks_crd="clusterservingruntimes.yaml"),
        "CRD clusterservingruntimes",
        "it is not installed",
        1,
    ),
    "another class not accepted": (
        SetUp(other_class="False"),
        "GatewayClass another",
        "parametersRef is not there",
        0,
    ),
    "missing RBAC right": (
        SetUp(rules={OPERATOR: without("services", "patch")}),
        f"rights of {OPERATOR}",
        "it may not patch services",
        1,
    ),
    "rule files not loaded": (
        SetUp(are_rules_loaded=False),
        "recording rules",
        "serving:arrivals:rate1m is not there",
        0,
    ),
    "operator not running": (
        SetUp(leases={OPERATOR: 900, AUTOSCALER: AHEAD_SECONDS}),
        OPERATOR,
        "m ago: it does not run",
        1,
    ),
    "configuration of another version": (
        SetUp(configuration="prometheus: {adress: 'URL'}"),
        "configuration",
        "prometheus.adress: there is no such key",
        1,
    ),
    "autoscaler never ran": (SetUp(leases={OPERATOR: AHEAD_SECONDS}), AUTOSCALER, "it has never run", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_names_the_cause(check: Check, name: str) -> None:
    """Each broken set-up is named on the line of its check, with a remedy, and decides the exit code."""
    setup, line, cause, code = BROKEN[name]
    ran = check(setup)
    lines = [text for text in ran.out.splitlines() if line in text and cause in text]

    assert lines, ran.out + ran.err
    assert " -> " in lines[0]
    assert ran.code == code, ran.out


def test_asks_the_prometheus_that_the_programs_ask(check: Check) -> None:
    """Without a flag its address and the matcher are those of the configuration."""
    ran = check(SetUp(configuration="prometheus: {url: 'URL', matcher: 'pod=\"another\"'}"))

    assert "answers" in next(line for line in ran.out.splitlines() if " Prometheus " in line)
    assert "signal requests" in ran.out
    assert ran.code == 1  # no series has that label


def test_asks_with_the_headers_of_the_configuration(check: Check) -> None:
    """A Prometheus that answers nobody without them is asked as the programs ask it."""
    configuration = "prometheus: {url: 'URL', headers: {Authorization: 'Bearer secret'}}"
    ran = check(SetUp(token="secret", configuration=configuration))

    assert "answers" in next(line for line in ran.out.splitlines() if " Prometheus " in line), ran.out


def test_a_url_that_lacks_its_prefix_is_completed(check: Check) -> None:
    """Mimir, VictoriaMetrics and Thanos have their API under a path."""
    ran = check(SetUp(page="not found"))

    assert "with the path under which its API is, such as /prometheus" in ran.out


def test_rules_that_record_nothing_may_want_more_scrapes(check: Check) -> None:
    """Two causes are named: rules that are not loaded, and scrapes too rare for their windows."""
    (line,) = (
        line for line in check(SetUp(are_rules_loaded=False)).out.splitlines() if "recording rules" in line
    )

    assert "manifests/prometheus/rules.yaml" in line
    assert "scrape every 15 s" in line


def test_a_program_that_never_ran_is_not_installed_over(check: Check) -> None:
    """The remedy changes no installation that an own kustomization or the chart has made."""
    lines = check(SetUp(leases={OPERATOR: AHEAD_SECONDS})).out.splitlines()
    (line,) = (line for line in lines if "it has never run" in line)

    assert "--system-namespace" in line
    assert "your own kustomization or chart" in line
    assert "manifests/base" not in line


def test_all_is_well(check: Check) -> None:
    """Where nothing is missing, nothing has failed, and the exit code says so."""
    ran = check(SetUp())

    assert (ran.code, "Failed" in ran.out) == (0, False), ran.out


def test_rights_are_those_of_the_manifests() -> None:
    """What is looked for is what manifests/base grants, no more and no less."""
    granted = set()
    for program in (OPERATOR, AUTOSCALER):
        short = program.removeprefix("serving-")
        for document in yaml.safe_load_all((ROOT / f"manifests/base/rbac-{short}.yaml").read_text()):
            for rule in document.get("rules") or ():
                is_local = document["kind"] == "Role"
                granted |= {
                    Right(program, verb, group, resource, name, is_local)
                    for verb in rule["verbs"]
                    for group in rule["apiGroups"]
                    for resource in rule["resources"]
                    for name in rule.get("resourceNames", [""])
                }

    assert granted == set(RIGHTS)


@pytest.mark.parametrize(
    ("other", "is_double"),
    [
        ({"job": "b"}, False),
        ({"prometheus_replica": "b"}, False),
        ({"instance": "b"}, True),
        ({"code": "500"}, False),
    ],
)
def test_doubles(other: dict[str, str], is_double: bool) -> None:
    """Copies of an HA pair and series of other codes are none; a second target for the same pod is one."""
    first = Series({"pod": "p", "job": "a", "instance": "a", "code": "200"}, 0.0)
    second = Series({**first.labels, **other}, 0.0)

    assert bool(doubled([first, second])) == is_double
