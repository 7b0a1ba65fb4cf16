"""A cluster and a Prometheus for `servingctl check`: all is well in them, until a test breaks something."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE
from tests.fakes.kube import FakeKube
from tests.fakes.prometheus_server import PrometheusServer

AHEAD_SECONDS = -3600.0
"""How old is what has to be fresh for as long as a test lasts."""
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


ROUTE = {"parentRefs": [{"name": "public", "namespace": "ns"}], "hostnames": ["digits.example.com"]}


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
            "route": ROUTE,
        },
    }


@dataclass
class SetUp:
    """A cluster and a Prometheus in which all is well, until a case breaks something."""

    name: str = "digits"
    """The service that is asked about; empty: none."""
    gateway_api: bool = True
    crds: bool = True
    lacks_crd: str = ""
    """The file in `crds/` that was not applied."""
    gateway_class: str = "True"
    """Status of its condition Accepted; empty: there is no class."""
    other_class: str = ""
    """Status of the same condition of a class that no Gateway has; empty: there is no such class."""
    rules: dict[str, list[dict[str, list[str]]]] = field(default_factory=dict)
    """RBAC rules by program; one without an entry may do everything."""
    deployments: tuple[dict[str, Any], ...] = ()
    """By which the programs were started."""
    leases: dict[str, float] = field(
        default_factory=lambda: {OPERATOR: AHEAD_SECONDS, AUTOSCALER: AHEAD_SECONDS}
    )
    token: str = ""
    page: str = ""
    url: str = ""
    labels: dict[str, str] = field(default_factory=lambda: dict(POD))
    route: dict[str, Any] = field(default_factory=lambda: dict(ROUTE))
    profile: str = "mlserver"
    """By which the autoscaler reads the service's load; empty: it has no autoscaler."""
    evidence: str = ""
    """Where the requests of its canaries are counted; empty: nobody judges them."""
    clusters: tuple[str, ...] = ()
    """In which the Gateway's Envoy counts."""
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
            self.other_class,
            self.lacks_crd,
            self.rules,
            self.deployments,
            len(self.leases) < 2,
            self.configuration,
            self.route != ROUTE,
            self.profile != "mlserver",
            self.evidence,
        )
        return not any(broken) and max(self.leases.values()) < 60

    def fill_cluster(self, fake: FakeKube) -> None:
        """Write all objects."""
        fake.namespace("ns")
        for name, seconds_ago in self.leases.items():
            fake.write(lease(name, seconds_ago))
        for program, rules in self.rules.items():
            fake.knobs.rules[f"system:serviceaccount:{SYSTEM_NAMESPACE}:{program}"] = rules
        for deployment in self.deployments:
            fake.write(deployment)
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
        for cluster in self.clusters:
            counter = "envoy_cluster_upstream_rq_total"
            prometheus.add(counter, age_seconds=AHEAD_SECONDS, envoy_cluster_name=cluster)
        if self.are_rules_loaded:
            prometheus.add("serving:arrivals:rate1m", age_seconds=AHEAD_SECONDS, deployment="digits-aaaaaaaa")

    def _fill_gateway(self, fake: FakeKube) -> None:
        if self.gateway_class:
            fake.write(CLASS | {"spec": {"controllerName": "example.com/gateway"}})
            fake.write(CLASS | {"status": accepted(self.gateway_class)}, subresource="status")
        if self.other_class:
            another = CLASS | {"metadata": {"name": "another"}}
            fake.write(another | {"spec": {"controllerName": "example.com/another"}})
            fake.write(another | {"status": accepted(self.other_class)}, subresource="status")
        place = {"name": "public", "namespace": "ns"}
        fake.write(GATEWAY | {"metadata": place, "spec": {"gatewayClassName": "envoy", "listeners": []}})
        fake.write(GATEWAY | {"metadata": place, "status": accepted("True")}, subresource="status")

    def _fill_service(self, fake: FakeKube) -> None:
        made = service()
        made["spec"]["route"] = self.route
        if self.evidence:
            made["spec"]["rollout"] = {"analysis": {"source": self.evidence}}
        fake.write(made)
        stable = {"id": "aaaaaaaa-1", "revision": "aaaaaaaa"}
        fake.write({**made, "status": {"stable": stable}}, subresource="status")
        name = {"name": "digits-aaaaaaaa", "namespace": "ns"}
        spec = {
            "scaleTargetRef": {"name": "digits-aaaaaaaa"},
            "maxReplicas": 4,
            "objective": {"thresholdMilliseconds": 500},
            "signals": {"profile": self.profile},
        }
        kind = {"apiVersion": "serving-operator.dev/v1alpha1", "kind": "InferenceAutoscaler"}
        if self.profile:
            fake.write({**kind, "metadata": name, "spec": spec})
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name}
        template = {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "m", "image": "i:1"}]},
        }
        fake.write({**deployment, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}})
        fake.write({**deployment, "status": {"readyReplicas": 1}}, subresource="status")
