"""`servingctl`, run against the fake API server and, for `check`, a Prometheus over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving_api.names import SYSTEM_NAMESPACE
from servingctl.preflight import rights
from servingctl.preflight.rights import RIGHTS
from tests.fakes.kube import FakeKube
from tests.fakes.prometheus_server import PrometheusServer
from tests.servingctl.demo import Ctl
from tests.servingctl.run import Ran, run
from tests.servingctl.set_up import SetUp

FEW = ("services", "deployments/scale")
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
    """Run `servingctl check` in a set-up, of its service; a few rights stand for all."""
    monkeypatch.setattr(rights, "RIGHTS", [right for right in RIGHTS if right.resource in FEW])

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
            return run(capsys, "check", *([setup.name] if setup.name else []), *where)

    def in_setup(setup: SetUp) -> Ran:
        if setup.is_usual:
            return against(usual, setup)
        crds = Path("crds") if setup.crds else None
        if setup.lacks_crd:
            crds = tmp_path / "crds"
            shutil.copytree("crds", crds, ignore=shutil.ignore_patterns(setup.lacks_crd))
        with FakeKube(gateway=setup.gateway_api, crds=crds) as fake:
            setup.fill_cluster(fake)
            return against(fake, setup)

    return in_setup


@pytest.fixture
def ctl(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Ctl]:
    """A cluster to command."""
    with FakeKube() as fake:
        fake.namespace("demo")
        yield Ctl(fake, fake.kubeconfig(tmp_path / "kubeconfig", "person"), capsys)
