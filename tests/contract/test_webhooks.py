"""What a real API server says of a write whose admission webhook does not answer; no fake of ours has webhooks."""

from __future__ import annotations

import pytest

from serving_io import Denied
from tests.contract.questions import Api, Manifest, config_map

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def nobody_answers(namespace: str) -> Manifest:
    """A webhook for all ConfigMaps of a namespace, at a port that nothing listens on."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "away.example.org",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["configmaps"],
                    }
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
            }
        ],
    }


@pytest.mark.real_api
@pytest.mark.parametrize("api", ["real"], indirect=True)
async def test_a_webhook_that_does_not_answer_refuses(api: Api) -> None:
    """It is no failure of the API server, though the code says so: nothing was written, and a person must be told."""
    manifest = config_map()
    manifest["metadata"]["namespace"] = api.namespace
    assert (await api.ask("POST", WEBHOOKS, nobody_answers(api.namespace))).status == 201
    try:
        await api.until(
            "the webhook is asked",
            lambda: api.ask("POST", api.path("configmaps"), manifest, dryRun="All"),
            lambda reply: reply.status == 500,
        )
        with pytest.raises(Denied, match=r"failed calling webhook .*away\.example\.org"):
            await api.cluster().create(manifest)
    finally:
        await api.ask("DELETE", f"{WEBHOOKS}/{api.namespace}")
