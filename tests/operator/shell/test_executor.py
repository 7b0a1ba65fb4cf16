"""A plan meets a service that has changed since it was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from serving_api.names import SERVICE_LABEL, ServiceKey
from serving_io.kinds import DEPLOYMENT, INFERENCE_SERVICE
from serving_operator.cache import Cache, place_of
from serving_operator.executor import Executor, Outdated, applied
from serving_operator.repair import delete
from serving_operator.world import Manifest, Plan, Write
from tests.fakes.kube import FakeKube
from tests.fakes.kube.requests import Target
from tests.operator.children.services import recorded
from tests.operator.shell.surroundings import NAMESPACE, condition, external, operator, until

KEY = ServiceKey(NAMESPACE, "llama")


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server with the namespace of the tests."""
    with FakeKube() as server:
        server.namespace(NAMESPACE)
        yield server


def plan(service: Manifest, *writes: Write) -> Plan:
    """A plan that was decided on this state of the service."""
    status = {"observedGeneration": service["metadata"]["generation"]}
    return Plan(writes, status=status, service_version=service["metadata"]["resourceVersion"])


def creation(service: Manifest) -> Write:
    """The creation of a child."""
    _, child = recorded()
    owner = child["metadata"]["ownerReferences"][0] | {"uid": service["metadata"]["uid"]}
    return Write(
        "create", child | {"metadata": child["metadata"] | {"ownerReferences": [owner]}}, "for a test"
    )


async def test_a_status_is_written_on_what_it_was_decided_on(fake: FakeKube) -> None:
    """A younger service, though the cache knows it already, is not given the status that was decided on the older."""
    cache, decided_on = Cache(), fake.write(external())
    cache.put(fake.write(external(image="example.com/llm:2")))

    async with fake.cluster("serving-operator") as cluster:
        with pytest.raises(Outdated):
            await Executor(cluster, cache).execute(KEY, plan(decided_on))

    assert "status" not in fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)


async def test_a_plan_is_in_its_own_way_nowhere(fake: FakeKube) -> None:
    """A plan that creates a child, has the service read for that, and then writes the status meets no conflict."""
    cache, service = Cache(), fake.write(external())
    cache.put(service)

    async with fake.cluster("serving-operator") as cluster:
        executor = Executor(cluster, cache)
        assert await executor.execute(KEY, plan(service, creation(service))) == 2
        again = cache.service(KEY)
        assert again is not None
        assert await executor.execute(KEY, plan(again)) == 0

    assert fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)["status"] == {"observedGeneration": 1}


@pytest.mark.parametrize("is_there", [True, False])
async def test_what_we_delete_leaves_no_replicas(fake: FakeKube, is_there: bool) -> None:
    """A Deployment that is deleted as planned is not remembered, also where somebody else was first."""
    cache, service = Cache(), fake.write(external())
    cache.put(service)
    owner = creation(service).manifest["metadata"]["ownerReferences"]
    labels = {SERVICE_LABEL: KEY.name}
    metadata = {"name": "d", "namespace": NAMESPACE, "labels": labels, "ownerReferences": owner}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 20, "selector": {"matchLabels": labels}, "template": pod}
    live = fake.write({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    cache.put(live)
    if not is_there:
        fake.remove(DEPLOYMENT, "d", NAMESPACE)

    async with fake.cluster("serving-operator") as cluster:
        await Executor(cluster, cache).execute(KEY, Plan((delete(live, "for a test"),)))
    cache.drop(live)

    assert cache.memory.replicas(KEY) == {}


async def test_a_child_that_a_list_did_not_show_is_found_by_its_name(fake: FakeKube) -> None:
    """A child that lost our label before a list is created once in vain, and known then: it is not created for ever."""
    cache, service = Cache(), fake.write(external())
    cache.put(service)
    made = creation(service)
    place = place_of(made.manifest)
    cache.put(fake.write(made.manifest))
    metadata = {key: value for key, value in made.manifest["metadata"].items() if key != "labels"}
    live = fake.write(made.manifest | {"metadata": metadata})
    list_version = int(fake.write(external("another"))["metadata"]["resourceVersion"])
    cache.replace(place.kind, [], list_version)
    cache.drop(live)  # told of with the version that it lives on with

    async with fake.cluster("serving-operator") as cluster:
        with pytest.raises(Outdated):
            await Executor(cluster, cache).execute(KEY, plan(service, made))

    known = cache.get(place)
    assert known is not None
    assert "labels" not in known["metadata"]


async def test_what_changed_nothing_is_not_sent_again(fake: FakeKube) -> None:
    """The server may spell what is wanted in a way that we do not know; it is asked once, until the object changes."""
    cache, service = Cache(), fake.write(external())
    cache.put(service)
    sent: list[str] = []

    def note(verb: str, resource: str, name: str) -> bool:
        if (verb, resource) == ("patch", "controllerrevisions"):
            sent.append(name)
        return False

    async with fake.cluster("serving-operator") as cluster:
        executor, made = Executor(cluster, cache), creation(service)
        await executor.execute(KEY, plan(service, made))
        again = replace(made, verb="apply")
        await executor.execute(KEY, plan(service, again))
        fake.fail(match=note)
        assert [await executor.execute(KEY, Plan((again,))) for _ in range(3)] == [0, 0, 0]
        assert len(sent) == 1

        name = made.manifest["metadata"]["name"]
        cache.put(
            fake.write(
                made.manifest | {"metadata": {"name": name, "namespace": NAMESPACE, "labels": {"a": "b"}}},
                manager="user",
            )
        )
        await executor.execute(KEY, Plan((again,)))
        assert len(sent) == 2


async def test_a_service_that_changes_meanwhile_is_decided_again(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit that the operator sees between decision and status write leads to a new decision, never to its mixture."""
    edits: list[Manifest] = [external(image="example.com/llm:2")]
    service = Target(fake.resource(INFERENCE_SERVICE), NAMESPACE, "llama")

    def edit_on_the_way(verb: str, resource: str, name: str) -> bool:
        # The operator reads the service before its first creation: it then knows what it has not decided on.
        if (verb, resource) == ("get", "inferenceservices") and edits:
            fake.requests.apply(service, edits.pop(), "user", True)
        return False

    fake.fail(match=edit_on_the_way)
    fake.write(external(), manager="user")
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: condition(fake, "UpToDate").get("status") == "True", fake)

    written = [entry for entry in fake.writes("operator") if entry.resource == "inferenceservices/status"]
    assert [entry.code for entry in written].count(409) == 1
    (deployment,) = fake.objects(DEPLOYMENT)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/llm:2"


def test_all_that_a_creation_owns_is_owned_by_one_apply() -> None:
    """A write of /scale splits what we created into two entries; both become ours by apply, the scaler's stays his."""
    rest = {"f:metadata": {"f:labels": {"f:old": {}}}, "f:spec": {"f:template": {}}}
    replicas = {"f:spec": {"f:replicas": {}}}
    ours = {"manager": "serving-operator", "operation": "Update"}
    scaler = {
        "manager": "serving-autoscaler",
        "operation": "Apply",
        "subresource": "scale",
        "fieldsV1": replicas,
    }

    after = applied([scaler, ours | {"fieldsV1": replicas}, ours | {"fieldsV1": rest}])

    united = rest | {"f:spec": {"f:template": {}, "f:replicas": {}}}
    assert after == [scaler, ours | {"operation": "Apply", "fieldsV1": united}]
