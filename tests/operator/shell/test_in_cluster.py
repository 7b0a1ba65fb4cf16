"""The operator as a pod has it: no kubeconfig, but a mounted service account."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kubernetes.aio.config import incluster_config

from serving_operator.config import parse
from serving_operator.program import Operator
from tests.fakes.kube import FakeKube
from tests.fakes.tls import Tls
from tests.operator.shell.surroundings import FLAGS, NAMESPACE, condition, external, run, until


async def test_all_requests_are_made_by_the_service_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Watches too, which Kopf sends: with another token they would be refused, and the operator would see nothing."""
    tls, token = Tls(tmp_path), tmp_path / "token"
    token.write_text("operator")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tls.authority))
    with FakeKube(tls=tls.server) as fake:
        address = urlsplit(fake.url)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
        fake.namespace(NAMESPACE)
        async with run(Operator(parse(FLAGS, {}))):
            fake.write(external())
            await until(lambda: condition(fake, "Ready").get("status") == "True", fake)

    # TLS says goodbye, for which the informer's loop does not wait: the process ends. Here it goes on.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert any(request.verb == "watch" for request in fake.log)
    assert {request.user for request in fake.log} == {"operator"}
