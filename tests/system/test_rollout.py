"""A canary gets capacity, then traffic; labels promote, abort and retry exactly the attempt that they name."""

from __future__ import annotations

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.kube import Kube, condition, holds
from tests.system.load import Load
from tests.system.services import canary_at_step, committed, first_revision, web_service


@pytest.mark.lengthy
def test_promote_under_load(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """A promoted canary takes over without a bad response, and the old revision's objects go."""
    host = f"{namespace}.example.com"
    first_revision(kube, namespace, web_service(host=host))
    with Load(cluster, host, rate=8) as load:
        attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
        kube.label(namespace, "digits", promote=attempt)
        status = committed(kube, namespace, attempt)

    assert load.bad() == []
    assert {record.revision for record in load.records[-5:]} == {status["stable"]["revision"]}
    assert [command["kind"] for command in status["commands"]] == ["Promote"]


@pytest.mark.lengthy
def test_abort_under_load(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """An aborted canary loses its traffic first; it is rejected, and the old revision serves on."""
    host = f"{namespace}.example.com"
    stable = first_revision(kube, namespace, web_service(host=host))
    with Load(cluster, host, rate=8) as load:
        attempt = canary_at_step(kube, namespace, web_service(version="2", host=host))
        kube.label(namespace, "digits", abort=attempt)
        kube.until("the canary is gone", lambda: not kube.status(namespace).get("canary"))
        kube.until("its Deployment is gone", lambda: len(kube.list(kinds.DEPLOYMENT, namespace)) == 1)
    status = kube.status(namespace)

    assert load.bad() == []
    assert status["stable"]["revision"] == stable
    assert status["rejected"][-1]["id"] == attempt
    assert condition(status, "UpToDate")["reason"] == "Rejected"
    assert "retry" in condition(status, "UpToDate")["message"]


@pytest.mark.lengthy
def test_labels_name_one_attempt(kube: Kube, namespace: str) -> None:
    """A, B promoted, A, B again: the old label promotes nothing; retry makes a rejected attempt a new one."""
    host = f"{namespace}.example.com"
    a, b = web_service(version="a", host=host), web_service(version="b", host=host)
    first_revision(kube, namespace, a)
    first = canary_at_step(kube, namespace, b)
    kube.label(namespace, "digits", promote=first)
    committed(kube, namespace, first)
    back = canary_at_step(kube, namespace, a)
    kube.until("the stale label is reported", lambda: holds(kube.status(namespace), "CommandIgnored"))

    assert back in condition(kube.status(namespace), "CommandIgnored")["message"]
    assert kube.status(namespace)["canary"]["id"] == back

    kube.label(namespace, "digits", abort=back)
    kube.until("the attempt is rejected", lambda: not kube.status(namespace).get("canary"))
    kube.label(namespace, "digits", retry=back)
    again = canary_at_step(kube, namespace, a)

    assert again.split("-")[0] == back.split("-")[0]
    assert int(again.split("-")[1]) > int(back.split("-")[1])

    kube.label(namespace, "digits", promote=again)
    committed(kube, namespace, again)


def test_first_revision_broken(kube: Kube, namespace: str) -> None:
    """A first revision that cannot start names its cause; a second apply fixes it, without a rejection."""
    host = f"{namespace}.example.com"
    broken = web_service(
        host=host,
        spec__predictor__container__image="example.com/absent:1",
        spec__rollout__progressDeadlineSeconds=15,
    )
    kube.apply(namespace, broken)
    stalled = kube.until(
        "the cause is shown",
        lambda: (c := condition(kube.status(namespace), "Stalled")).get("status") == "True" and c,
    )

    assert "example.com/absent:1" in stalled["message"]

    first_revision(kube, namespace, web_service(host=host))

    assert not kube.status(namespace).get("rejected")


@pytest.mark.lengthy
def test_stable_broken(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """When stable has no ready pod, a new version with its need is promoted by its label without step and gate."""
    host = f"{namespace}.example.com"
    fragile = web_service(host=host)
    fragile["spec"]["predictor"]["container"]["env"].append(
        {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "setting", "key": "value"}}}
    )
    kube.kubectl("create", "-n", namespace, "configmap", "setting", "--from-literal=value=1")
    first_revision(kube, namespace, fragile)
    kube.kubectl("delete", "-n", namespace, "configmap", "setting")
    for pod in kube.list(kinds.POD, namespace):
        kube.delete(kinds.POD, namespace, pod["metadata"]["name"])
    kube.apply(namespace, web_service(version="2", host=host))
    attempt = kube.until("a canary", lambda: kube.status(namespace).get("canary", {}).get("id"))
    kube.until("the waiver is said", lambda: "RollForward" in str(kube.status(namespace)))
    kube.label(namespace, "digits", promote=attempt)
    status = committed(kube, namespace, attempt)

    assert holds(status, "Ready")
