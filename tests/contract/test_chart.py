"""The chart by helm: what kustomize renders, with what values.yaml says laid over it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from localcluster.pinned import program
from serving_api.names import SYSTEM_NAMESPACE
from tests.manifests.rendering import MANIFESTS, OVERLAYS, Id, Manifest, by_id, of_kind, rendered
from tests.manifests.test_overlays import with_kustomization

pytestmark = pytest.mark.real_api  # of the rung that has Go

CHART = MANIFESTS / "helm"
BESIDE_THE_CHART = ("CustomResourceDefinition", "Namespace")
VALUES = {
    "high-availability": {"highAvailability": True},
    "network-policies": {"networkPolicies": True},
    "prometheus-operator": {"monitors": True},
    "single-namespace": {"singleNamespace": True},
}


def template(*arguments: str, values: Manifest | None = None, namespace: str = SYSTEM_NAMESPACE) -> str:
    """What `helm template` prints; raises AssertionError with its words if it fails."""
    command = [str(program("helm")), "template", "serving", str(CHART), "--namespace", namespace, *arguments]
    done = subprocess.run(
        [*command, "--values", "-"],
        input=yaml.safe_dump(values or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_the_chart(objects: dict[Id, Manifest]) -> dict[Id, Manifest]:
    """What of a rendered folder is the chart's."""
    return {name: entry for name, entry in objects.items() if entry["kind"] not in BESIDE_THE_CHART}


@pytest.mark.parametrize("overlay", ["", *VALUES])
def test_the_chart_is_what_kustomize_renders(overlay: str) -> None:
    """With the overlay's value the chart has the overlay's objects, but for the CRDs and the Namespace."""
    assert set(VALUES) == set(OVERLAYS)
    wanted = of_the_chart(rendered(f"overlays/{overlay}" if overlay else "base"))

    assert by_id(template(values=VALUES.get(overlay))) == wanted


def test_the_chart_is_what_kustomize_renders_of_everything(tmp_path: Path) -> None:
    """All overlays together, in a namespace of one's own: still the same."""
    parts = ("single-namespace", "high-availability", "network-policies", "prometheus-operator")
    there = Path(*[".."] * (len(tmp_path.resolve().parts) - 1), *MANIFESTS.parts[1:], "components")
    wanted = with_kustomization(
        tmp_path, "base", namespace="team-a", components=[str(there / part) for part in parts]
    )

    values = {key: True for value in VALUES.values() for key in value}

    assert by_id(template(values=values, namespace="team-a")) == of_the_chart(wanted)


def test_values_of_the_chart_reach_the_programs() -> None:
    """Configuration, images, a Secret's mount and fields of the pods; a change of the configuration is one of the pods."""
    values: dict[str, Any] = {
        "configuration": {"prometheus": {"url": "http://p:9090", "caFile": "/etc/serving-prometheus/ca.crt"}},
        "images": {"operator": {"repository": "registry.example.com/operator", "tag": "2"}},
        "prometheusSecret": "prometheus-access",
        "podSpec": {"nodeSelector": {"pool": "system"}},
    }
    objects = by_id(template(values=values))
    other = by_id(template(values=values | {"configuration": {"namespaces": ["a"]}}))

    config = objects[Id("ConfigMap", SYSTEM_NAMESPACE, "serving-config")]
    assert yaml.safe_load(config["data"]["config.yaml"]) == values["configuration"]
    for name, image in (
        ("operator", "registry.example.com/operator:2"),
        ("autoscaler", "ghcr.io/serving-operator/autoscaler:0.1.0"),
    ):
        place = Id("Deployment", SYSTEM_NAMESPACE, f"serving-{name}")
        pod = objects[place]["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert container["image"] == image
        assert pod["spec"]["nodeSelector"] == {"pool": "system"}
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        assert volumes["prometheus"]["secret"] == {"secretName": "prometheus-access"}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts == {"tmp": "/tmp", "config": "/etc/serving", "prometheus": "/etc/serving-prometheus"}
        assert pod["metadata"]["annotations"] != other[place]["spec"]["template"]["metadata"]["annotations"]


def test_resources_of_the_chart_are_laid_over_those_of_each_program() -> None:
    """What is stated for one program replaces that alone; the other keeps its own."""
    wanted = of_the_chart(rendered("base"))
    operator = wanted[Id("Deployment", SYSTEM_NAMESPACE, "serving-operator")]
    operator["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "3Gi"

    assert by_id(template(values={"resources": {"operator": {"limits": {"memory": "3Gi"}}}})) == wanted


def test_policies_of_the_chart_open_the_way_to_where_things_are() -> None:
    """Another namespace and port of Prometheus, and other ports of the API server; the rest stays as kustomize renders it."""
    values = {"prometheusNamespace": "metrics", "prometheusPort": 8428, "apiServerPorts": [443, 16443]}
    wanted = of_the_chart(rendered("overlays/network-policies"))
    opened = wanted[Id("NetworkPolicy", SYSTEM_NAMESPACE, "serving-programs")]["spec"]
    prometheus = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}}}]
    opened["ingress"][0]["from"] = opened["egress"][2]["to"] = prometheus
    opened["egress"][0]["ports"][1]["port"] = 16443
    opened["egress"][2]["ports"][0]["port"] = 8428

    assert by_id(template(values={"networkPolicies": True, "policies": values})) == wanted


def test_monitors_of_the_chart_carry_the_labels_that_they_are_selected_by() -> None:
    """Monitors and rules, beside their own labels; nothing else does."""
    label = {"release": "kube-prometheus-stack"}
    wanted = of_the_chart(rendered("overlays/prometheus-operator"))
    for entry in of_kind(wanted, "PodMonitor", "PrometheusRule"):
        entry["metadata"]["labels"] |= label

    assert by_id(template(values={"monitors": True, "monitorLabels": label})) == wanted


@pytest.mark.parametrize(
    "values",
    [
        {"highAvailabilty": True},
        {"podSpec": {"containers": []}},
        {"policies": {"apiServerPort": 16443}},
        {"policies": {"apiServerPorts": []}},
        {"resources": {"operator": {"memory": "2Gi"}}},
    ],
)
def test_a_value_that_has_no_effect_is_refused(values: Manifest) -> None:
    """A misspelt value, a field of the pods that the chart needs for itself, and no port, which opens all, end the install."""
    with pytest.raises(AssertionError, match="values don't meet the specifications"):
        template(values=values)
