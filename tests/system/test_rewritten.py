"""Admission that changes what the operator states: clusters do so with images, time-outs, tolerations."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.audit import Audit
from tests.system.kube import Kube, Manifest
from tests.system.services import first_revision, web_service

GRACE_SECONDS = 41
QUIET_SECONDS = 10
OPERATOR = "serving-system:serving-operator"


def policy(namespace: str) -> list[Manifest]:
    """A policy that gives every Deployment of a namespace another grace period, and its binding."""
    api = {"apiVersion": "admissionregistration.k8s.io/v1"}
    path = "/spec/template/spec/terminationGracePeriodSeconds"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["deployments"],
    }
    selected = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return [
        api
        | {
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [rule]},
                "mutations": [
                    {
                        "patchType": "JSONPatch",
                        "jsonPatch": {
                            "expression": f'[JSONPatch{{op: "add", path: "{path}", value: {GRACE_SECONDS}}}]'
                        },
                    }
                ],
            },
        },
        api
        | {
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {"policyName": namespace, "matchResources": selected},
        },
    ]


@pytest.fixture
def rewritten(kube: Kube, namespace: str) -> Iterator[None]:
    """The policy is in force in the test's namespace."""
    for manifest in policy(namespace):
        kube.kubectl("apply", "-f", "-", stdin=manifest)
    kube.until("the policy is in force", lambda: tried(kube, namespace) == GRACE_SECONDS)
    yield
    for manifest in reversed(policy(namespace)):
        kube.kubectl("delete", "-f", "-", stdin=manifest)


def tried(kube: Kube, namespace: str) -> int:
    """What becomes of a Deployment that is not made in earnest."""
    arguments = (
        "create",
        "deployment",
        "tried",
        "--image=tried",
        "-n",
        namespace,
        "--dry-run=server",
        "-o",
        "json",
    )
    made: int = json.loads(kube.kubectl(*arguments).stdout)["spec"]["template"]["spec"][
        "terminationGracePeriodSeconds"
    ]
    return made


def grace_seconds(kube: Kube, namespace: str) -> list[int]:
    """Of the Deployments' pods."""
    return [
        one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        for one in kube.list(kinds.DEPLOYMENT, namespace)
    ]


def test_what_admission_rewrites_is_not_fought_over(
    kube: Kube, cluster: Cluster, namespace: str, rewritten: None
) -> None:
    """The service is served as the cluster's administrator wants it, and the operator asks once, not for ever."""
    first_revision(kube, namespace, web_service(host=f"{namespace}.example.com"))
    assert grace_seconds(kube, namespace) == [GRACE_SECONDS]
    time.sleep(QUIET_SECONDS)

    audit = Audit(cluster)
    time.sleep(QUIET_SECONDS)
    written = [one for one in audit.writes(OPERATOR) if one.namespace == namespace]
    assert [one for one in written if one.resource == "deployments"] == []
    assert grace_seconds(kube, namespace) == [GRACE_SECONDS]
