"""What the programs of a cluster were told: where it is found, and what is made of it by `diff` and `render`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from serving_api.names import OPERATOR, SYSTEM_NAMESPACE
from serving_io.cluster import Cluster
from servingctl.configured import Configured, configured
from tests.fakes.kube import FakeKube
from tests.servingctl.run import run

CONFIGURATION = """
route: {parentRefs: [{name: public, namespace: gateways}], hostnameTemplate: "{name}.example.com"}
accelerators: [{resource: nvidia.com/gpu, tolerations: [{key: gpu, operator: Exists}]}]
operator: {drainSeconds: 12}
"""
SERVICE = {
    "apiVersion": "serving-operator.dev/v1alpha1",
    "kind": "InferenceService",
    "metadata": {"name": "digits", "namespace": "ns"},
    "spec": {
        "predictor": {"container": {"image": "example.com/a:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}, "maxReplicas": 2},
        "objective": {"thresholdMilliseconds": 500},
        "scaling": {"signals": {"profile": "gateway"}},
        "route": {},
    },
}  # fmt: skip


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A cluster with the namespaces of the programs and of a service."""
    with FakeKube() as made:
        made.namespace(SYSTEM_NAMESPACE)
        made.namespace("ns")
        yield made


def config_map(data: dict[str, str], name: str = "serving-config") -> dict[str, Any]:
    """A ConfigMap of the programs."""
    metadata = {"name": name, "namespace": SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def operator(volumes: list[dict[str, Any]]) -> dict[str, Any]:
    """The operator's Deployment."""
    spec = {"containers": [{"name": "operator", "image": "i:1"}], "volumes": volumes}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR, "namespace": SYSTEM_NAMESPACE},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


async def told(fake: FakeKube, tmp_path: Path) -> Configured:
    """What is read of a cluster."""
    path = fake.kubeconfig(tmp_path / "kubeconfig", "person")
    async with await Cluster.connect(field_manager="t", kubeconfig=str(path)) as cluster:
        return await configured(cluster, SYSTEM_NAMESPACE)


async def test_reads_the_key_that_the_programs_read(fake: FakeKube, tmp_path: Path) -> None:
    """What is in config.yaml counts, and the ConfigMap is named."""
    fake.write(config_map({"config.yaml": CONFIGURATION}))

    found = await told(fake, tmp_path)

    assert found.settings.drain_seconds == 12
    assert found.settings.namespace == SYSTEM_NAMESPACE
    assert found.source == "ConfigMap serving-system/serving-config"


async def test_finds_a_name_with_a_hash(fake: FakeKube, tmp_path: Path) -> None:
    """A kustomization that generates the ConfigMap names it by its content; the Deployment says which it is."""
    fake.write(config_map({"config.yaml": "operator: {drainSeconds: 7}"}, "serving-config-8g2m"))
    fake.write(operator([{"name": "config", "configMap": {"name": "serving-config-8g2m"}}]))

    assert (await told(fake, tmp_path)).settings.drain_seconds == 7


async def test_without_one_all_is_default(fake: FakeKube, tmp_path: Path) -> None:
    """As for the programs, which go on without it."""
    found = await told(fake, tmp_path)

    assert found.configuration.prometheus.url is None
    assert found.is_known
    assert "there is no ConfigMap" in found.source


async def test_another_key_is_told(fake: FakeKube, tmp_path: Path) -> None:
    """The programs do not start with it either."""
    fake.write(config_map({"prometheusUrl": "http://p"}))

    with pytest.raises(ValueError, match=r"has prometheusUrl and no config.yaml; rename the key"):
        await told(fake, tmp_path)


def test_render_follows_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Defaults of the route, tolerations and the drain are the administrator's."""
    service, config = tmp_path / "service.yaml", tmp_path / "config.yaml"
    service.write_text(yaml.safe_dump(SERVICE))
    config.write_text(CONFIGURATION)

    ran = run(capsys, "render", str(service), "--config", str(config))

    made = {child["kind"]: child for child in yaml.safe_load_all(ran.out)}
    assert made["HTTPRoute"]["spec"]["hostnames"] == ["digits.example.com"]
    assert made["HTTPRoute"]["spec"]["parentRefs"][0]["name"] == "public"
    pod = made["Deployment"]["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 12


def test_render_refuses_a_configuration_that_programs_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file and the key are named."""
    service, config = tmp_path / "service.yaml", tmp_path / "config.yaml"
    service.write_text(yaml.safe_dump(SERVICE))
    config.write_text("operator: {drain: 1}")

    ran = run(capsys, "render", str(service), "--config", str(config))

    assert ran.code == 2
    assert "operator.drain: there is no such key" in ran.err


def test_diff_shows_what_the_configured_operator_would_do(
    fake: FakeKube, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The record of a new revision has the administrator's tolerations."""
    fake.write(config_map({"config.yaml": CONFIGURATION}))
    service = tmp_path / "service.yaml"
    service.write_text(yaml.safe_dump(SERVICE))
    path = fake.kubeconfig(tmp_path / "kubeconfig", "person")

    ran = run(capsys, "diff", "-f", str(service), "--kubeconfig", str(path))

    assert ran.code == 1, ran.err
    assert "key: gpu" in ran.out
    assert "seconds: 12" in ran.out
