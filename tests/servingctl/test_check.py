"""`servingctl check` names the cause in each broken set-up, against the fake API server and a Prometheus over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE
from servingctl.preflight import ask
from servingctl.preflight.rights import RIGHTS, Right
from servingctl.preflight.signals import Series, doubled
from tests.fakes.kube import FakeKube
from tests.fakes.prometheus_server import PrometheusServer
from tests.servingctl.run import Ran, run

ROOT = Path(__file__).parents[2]
OPERATOR_USER = f"system:serviceaccount:serving-system:{OPERATOR}"
AHEAD_SECONDS = -3600.0
"""How old is what has to be fresh for as long as a test lasts."""
FEW = ("services", "deployments/scale")
POD = {"namespace": "ns", "pod": "digits-aaaaaaaa-7d9c5b6f4d-x2x4z"}
MLSERVER = (
    "model_infer_request_success_total",
    "model_infer_request_failure_total",
    "model_infer_request_duration_count",
)
GATEWAY = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway"}
CLASS = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "envoy"}}


def lease(name: str, seconds_ago: float) -> dict[str, Any]:
    """The Lease of a program that renewed it so long ago."""
    renewed = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "serving-system"},
        "spec": {"holderIdentity": f"{name}-0", "renewTime": renewed, "leaseDurationSeconds": 15},
    }


def accepted(status: str) -> dict[str, Any]:
    """The status of a GatewayClass or Gateway."""
    entry = {
        "type": "Accepted",
        "status": status,
        "reason": "InvalidParameters",
        "message": "parametersRef is not there",
    }
    return {"conditions": [entry | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]}


def service() -> dict[str, Any]:
    """A service with a committed revision."""
    return {
        "apiVersion": "serving-operator.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": "digits", "namespace": "ns"},
        "spec": {
            "predictor": {
                "model": {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/a"},
                "maxReplicas": 4,
            },
            "objective": {"thresholdMilliseconds": 500},
            "route": {
                "parentRefs": [{"name": "public", "namespace": "ns"}],
                "hostnames": ["digits.example.com"],
            },
        },
    }


@dataclass
class SetUp:
    """A cluster and a Prometheus in which all is well, until a case breaks something."""

    gateway_api: bool = True
    crds: bool = True
    gateway_class: str = "True"
    """Status of its condition Accepted; empty: there is no class."""
    rules: list[dict[str, list[str]]] | None = None
    leases: dict[str, float] = field(
        default_factory=lambda: {OPERATOR: AHEAD_SECONDS, AUTOSCALER: AHEAD_SECONDS}
    )
    token: str = ""
    page: str = ""
    url: str = ""
    labels: dict[str, str] = field(default_factory=lambda: dict(POD))
    is_scraped: bool = True
    scrapes: int = 1
    age_seconds: float = AHEAD_SECONDS
    are_rules_loaded: bool = True
    configuration: str = ""
    """What the programs are told in place of a flag; `URL` stands for that of the Prometheus."""

    @property
    def is_usual(self) -> bool:
        """Whether the cluster is whole, so that one serves all such cases."""
        broken = (
            not self.gateway_api,
            not self.crds,
            self.gateway_class != "True",
            self.rules,
            len(self.leases) < 2,
            self.configuration,
        )
        return not any(broken) and max(self.leases.values()) < 60

    def fill_cluster(self, fake: FakeKube) -> None:
        """Write all objects."""
        fake.namespace("ns")
        for name, seconds_ago in self.leases.items():
            fake.write(lease(name, seconds_ago))
        if self.rules is not None:
            fake.knobs.rules[OPERATOR_USER] = self.rules
        if self.gateway_api:
            self._fill_gateway(fake)
        if self.crds:
            self._fill_service(fake)

    def fill_prometheus(self, prometheus: PrometheusServer) -> None:
        """Add all series."""
        prometheus.add("up", age_seconds=AHEAD_SECONDS, job="prometheus")
        for scrape in range(self.scrapes if self.is_scraped else 0):
            target = self.labels | {"instance": f"10.0.0.1:{8082 + scrape}", "job": "pods"}
            prometheus.add("up", age_seconds=AHEAD_SECONDS, **target)
            for name in MLSERVER:
                prometheus.add(name, age_seconds=self.age_seconds, model="digits", **target)
            path = {"path": "/v2/models/digits/infer", "le": "0.5"}
            prometheus.add(
                "rest_server_request_duration_seconds_bucket", age_seconds=AHEAD_SECONDS, **path, **target
            )
        if self.are_rules_loaded:
            prometheus.add("serving:arrivals:rate1m", age_seconds=AHEAD_SECONDS, deployment="digits-aaaaaaaa")

    def _fill_gateway(self, fake: FakeKube) -> None:
        if self.gateway_class:
            fake.write(CLASS | {"spec": {"controllerName": "example.com/gateway"}})
            fake.write(CLASS | {"status": accepted(self.gateway_class)}, subresource="status")
        place = {"name": "public", "namespace": "ns"}
        fake.write(GATEWAY | {"metadata": place, "spec": {"gatewayClassName": "envoy", "listeners": []}})
        fake.write(GATEWAY | {"metadata": place, "status": accepted("True")}, subresource="status")

    def _fill_service(self, fake: FakeKube) -> None:
        fake.write(service())
        stable = {"id": "aaaaaaaa-1", "revision": "aaaaaaaa"}
        fake.write({**service(), "status": {"stable": stable}}, subresource="status")
        name = {"name": "digits-aaaaaaaa", "namespace": "ns"}
        spec = {
            "scaleTargetRef": {"name": "digits-aaaaaaaa"},
            "maxReplicas": 4,
            "objective": {"thresholdMilliseconds": 500},
            "signals": {"profile": "mlserver"},
        }
        kind = {"apiVersion": "serving-operator.dev/v1alpha1", "kind": "InferenceAutoscaler"}
        fake.write({**kind, "metadata": name, "spec": spec})
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name}
        template = {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "m", "image": "i:1"}]},
        }
        fake.write({**deployment, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}})
        fake.write({**deployment, "status": {"readyReplicas": 1}}, subresource="status")


Check = Callable[[SetUp], Ran]


@pytest.fixture(scope="module")
def usual() -> Iterator[FakeKube]:
    """A cluster in which all is well."""
    with FakeKube() as fake:
        SetUp().fill_cluster(fake)
        yield fake


@pytest.fixture
def check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, usual: FakeKube
) -> Check:
    """Run `servingctl check digits` in a set-up; a few rights stand for all."""
    monkeypatch.setattr(ask, "RIGHTS", [right for right in RIGHTS if right.resource in FEW])

    def against(fake: FakeKube, setup: SetUp) -> Ran:
        with PrometheusServer(token=setup.token, page=setup.page) as prometheus:
            setup.fill_prometheus(prometheus)
            config = fake.kubeconfig(tmp_path / "kubeconfig", "person")
            where = ["--kubeconfig", str(config), "-n", "ns"]
            if setup.configuration:
                fake.namespace(SYSTEM_NAMESPACE)
                data = {"config.yaml": setup.configuration.replace("URL", prometheus.url)}
                place = {"name": "serving-config", "namespace": SYSTEM_NAMESPACE}
                fake.write({"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": data})
            else:
                where += ["--prometheus-url", setup.url or prometheus.url]
            return run(capsys, "check", "digits", *where)

    def in_setup(setup: SetUp) -> Ran:
        if setup.is_usual:
            return against(usual, setup)
        with FakeKube(gateway=setup.gateway_api, crds=Path("crds") if setup.crds else None) as fake:
            setup.fill_cluster(fake)
            return against(fake, setup)

    return in_setup


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
    "missing RBAC right": (
        SetUp(rules=without("services", "patch")),
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
