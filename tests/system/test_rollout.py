"""A canary gets capacity, then traffic; labels promote, abort and retry exactly the attempt that they name."""

from __future__ import annotations

import pytest

from localcluster.cluster import Cluster
from serving_io import kinds
from tests.system.kube import Kube, condition, holds
from tests.system.load import Load
from tests.system.recording import Recording
from tests.system.services import canary_at_step, canary_weight, committed, first_revision, web_service


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
    """An aborted canary loses its traffic first and is rejected; only a retry of that attempt tries it again."""
    host = f"{namespace}.example.com"
    second = web_service(version="2", host=host)
    stable = first_revision(kube, namespace, web_service(host=host))
    with Load(cluster, host, rate=8) as load:
        attempt = canary_at_step(kube, namespace, second)
        kube.label(namespace, "digits", abort=attempt)
        kube.until("the canary is gone", lambda: not kube.status(namespace).get("canary"))
        kube.until("its Deployment is gone", lambda: len(kube.list(kinds.DEPLOYMENT, namespace)) == 1)
        status = kube.status(namespace)
        kube.label(namespace, "digits", retry=attempt)
        again = canary_at_step(kube, namespace, second)

    assert load.bad() == []
    assert status["stable"]["revision"] == stable
    assert status["rejected"][-1]["id"] == attempt
    assert condition(status, "UpToDate")["reason"] == "Rejected"
    assert "retry" in condition(status, "UpToDate")["message"]
    assert again.split("-")[0] == attempt.split("-")[0]
    assert number(again) > number(attempt)


def number(attempt: str) -> int:
    """The number of an attempt, of its id."""
    return int(attempt.split("-")[1])


@pytest.mark.lengthy
def test_labels_name_one_attempt(kube: Kube, namespace: str) -> None:
    """A, B, A, all promoted, then B again: neither B's old label nor one that names nothing promotes it."""
    host = f"{namespace}.example.com"
    a, b = web_service(version="a", host=host), web_service(version="b", host=host)
    first_revision(kube, namespace, a)
    first = canary_at_step(kube, namespace, b)
    kube.label(namespace, "digits", promote=first)
    kube.until("B is stable", lambda: kube.status(namespace)["stable"]["id"] == first)
    kube.apply(namespace, a)
    back = kube.until("A is tried again", lambda: kube.status(namespace).get("canary", {}).get("id"))
    kube.until("B's label is stale", lambda: ignored(kube, namespace, "StaleLabel", first, back))
    kube.label(namespace, "digits", promote=back)
    kube.until("A is stable again", lambda: kube.status(namespace)["stable"]["id"] == back)
    kube.label(namespace, "digits", promote=first)  # and it stays on the object while B comes again
    again = canary_at_step(kube, namespace, b)
    kube.until("B's old label is stale", lambda: ignored(kube, namespace, "StaleLabel", first, again))
    (route,) = kube.list(kinds.HTTP_ROUTE, namespace)
    kube.label(namespace, "digits", promote="0123abcd-1")
    kube.until("a label is unknown", lambda: ignored(kube, namespace, "UnknownAttempt", "0123abcd-1", again))
    kube.label(namespace, "digits", promote=back)
    kube.until("A's label is stale", lambda: ignored(kube, namespace, "StaleLabel", back, again))
    status = kube.status(namespace)

    assert first.split("-")[0] == again.split("-")[0]
    assert number(first) < number(back) < number(again)
    assert status["stable"]["id"] == back
    assert (status["canary"]["id"], status["canary"]["weight"]) == (again, 20)
    assert [(command["kind"], command["id"]) for command in status["commands"]] == [
        ("Promote", first),
        ("Promote", back),
    ]
    assert canary_weight(route, again) == 20
    assert (
        kube.list(kinds.HTTP_ROUTE, namespace)[0]["metadata"]["generation"] == route["metadata"]["generation"]
    )


def ignored(kube: Kube, namespace: str, reason: str, label: str, current: str) -> bool:
    """Whether the status says why a promotion of `label` does nothing, and how to promote the current attempt."""
    said = condition(kube.status(namespace), "CommandIgnored")
    return (
        (said.get("status"), said.get("reason")) == ("True", reason)
        and f"promote={label} " in said["message"]
        and said["message"].endswith(f"promote={current}")
    )


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
        lambda: (
            "example.com/absent:1" in (c := condition(kube.status(namespace), "Stalled")).get("message", "")
            and c
        ),
    )

    assert stalled["status"] == "True"

    first_revision(kube, namespace, web_service(host=host))

    assert not kube.status(namespace).get("rejected")


@pytest.mark.lengthy
def test_stable_broken(kube: Kube, cluster: Cluster, namespace: str) -> None:
    """When stable has no ready pod, a new version with its need is promoted by its label: from 0 to 100 percent."""
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
    with Recording(kube, kinds.HTTP_ROUTE, namespace) as recording:
        kube.apply(namespace, web_service(version="2", host=host))
        attempt = kube.until("a canary", lambda: kube.status(namespace).get("canary", {}).get("id"))
        kube.until("the waiver is said", lambda: "RollForward" in str(kube.status(namespace)))
        kube.label(namespace, "digits", promote=attempt)
        status = committed(kube, namespace, attempt)
    weights = [canary_weight(route, attempt) for route in recording.versions()]

    assert holds(status, "Ready")
    assert weights[0] == 0
    assert sorted(set(weights)) == [0, 100]
    assert weights == sorted(weights)
