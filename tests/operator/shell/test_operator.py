"""The whole operator against the fake API server: what it makes, what it restores, what it leaves alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from serving_io.kinds import (
    CONTROLLER_REVISION,
    DEPLOYMENT,
    HTTP_ROUTE,
    INFERENCE_SERVICE,
    POD_DISRUPTION_BUDGET,
    SERVICE,
)
from serving_operator.observe import Informer
from serving_operator.world import Manifest
from tests.fakes.kube import FakeKube
from tests.operator.shell.surroundings import NAMESPACE, condition, external, operator, quiet, until

CRDS = [path for path in sorted(Path("crds").glob("*.yaml")) if path.name != "kustomization.yaml"]
CHILDREN = (CONTROLLER_REVISION, DEPLOYMENT, SERVICE, POD_DISRUPTION_BUDGET, HTTP_ROUTE)


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server with the namespace of the tests."""
    with FakeKube() as server:
        server.namespace(NAMESPACE)
        yield server


def ready(fake: FakeKube, name: str = "llama") -> bool:
    """Whether a service is ready and committed."""
    return all(condition(fake, kind, name).get("status") == "True" for kind in ("Ready", "UpToDate"))


def child(fake: FakeKube, kind: object = DEPLOYMENT) -> Manifest:
    """The child of one revision."""
    found: Manifest = next(
        item
        for item in fake.objects(kind, NAMESPACE)  # type: ignore[arg-type]
        if "serving-operator.dev/revision" in item["metadata"]["labels"]
    )
    return found


def versions(fake: FakeKube) -> dict[tuple[str, str], str]:
    """The resourceVersion of every object that the operator could write."""
    return {
        (item["kind"], item["metadata"]["name"]): item["metadata"]["resourceVersion"]
        for kind in (INFERENCE_SERVICE, *CHILDREN)
        for item in fake.objects(kind)
    }


async def test_the_operator_runs_under_a_uid_without_a_name(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some platforms choose the uid: then nothing may ask for the user's name."""

    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)


async def test_a_service_comes_into_being(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An applied service gets every child, is served by route and stable Service, and says so."""
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)

    revision = child(fake)["metadata"]["labels"]["serving-operator.dev/revision"]
    names = {
        (kind.name, item["metadata"]["name"]) for kind in CHILDREN for item in fake.objects(kind, NAMESPACE)
    }
    assert names == {
        ("ControllerRevision", f"llama-{revision}"),
        ("Deployment", f"llama-{revision}"),
        ("Service", f"llama-{revision}"),
        ("PodDisruptionBudget", f"llama-{revision}"),
        ("Service", "llama"),
        ("HTTPRoute", "llama"),
    }
    service = fake.get(INFERENCE_SERVICE, "llama", NAMESPACE)
    assert service["status"]["stable"]["revision"] == revision
    assert "finalizers" not in service["metadata"]


async def test_a_settled_service_is_left_alone_and_survives_restarts(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written while nothing changes, also not by a process that starts anew."""
    for index in range(20):
        fake.write(external(f"s{index}"))
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: all(ready(fake, f"s{index}") for index in range(20)), fake)
        before = await quiet(fake, 4)  # on a busy machine one of twenty is written later than the usual wait
        settled = versions(fake)
        await asyncio.sleep(1)
        assert len(fake.writes("operator")) == before

    async with operator(fake, tmp_path, monkeypatch) as again:
        await until(
            lambda: again.metrics.registry.get_sample_value(
                "workqueue_adds_total", {"name": "inferenceservice"}
            )
        )
        assert await quiet(fake) == before

    assert versions(fake) == settled


async def test_a_slow_list_of_children_makes_nobody_write(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart against a slow API server does not take services for childless."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        before = await quiet(fake)

    fake.knobs.latency_seconds = 0.1
    async with operator(fake, tmp_path, monkeypatch):
        assert await quiet(fake, 2.5) == before


@pytest.mark.parametrize("kind", CHILDREN, ids=lambda kind: kind.name)
async def test_a_deleted_child_comes_back(
    kind: object, fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of child is restored, under another uid and with the same content."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        await quiet(fake, 0.5)
        (lost, *_) = fake.objects(kind, NAMESPACE)  # type: ignore[arg-type]
        fake.remove(kind, lost["metadata"]["name"], NAMESPACE)  # type: ignore[arg-type]

        found = await until(lambda: fake.get(kind, lost["metadata"]["name"], NAMESPACE))  # type: ignore[arg-type]

        await until(lambda: ready(fake), fake)
    assert found["metadata"]["uid"] != lost["metadata"]["uid"]
    assert found.get("spec", found.get("data")) == lost.get("spec", lost.get("data")) or kind is SERVICE


async def test_edits_of_what_is_stated_are_undone(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image, a port, a weight and our labels are put back as they were."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        await quiet(fake, 0.5)
        name = child(fake)["metadata"]["name"]
        route = fake.get(HTTP_ROUTE, "llama", NAMESPACE)

        async with fake.cluster("intruder") as intruder:
            evil = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "evil"}]
            await intruder.patch(DEPLOYMENT, name, NAMESPACE, evil, style="json")
            stripped = {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}}
            await intruder.patch(DEPLOYMENT, name, NAMESPACE, stripped)
            await intruder.patch(
                SERVICE, name, NAMESPACE, {"spec": {"selector": {"serving-operator.dev/service": "x"}}}
            )
            backend = [{"op": "replace", "path": "/spec/rules/0/backendRefs/0/name", "value": "evil"}]
            await intruder.patch(HTTP_ROUTE, "llama", NAMESPACE, backend, style="json")

        def restored() -> bool:
            live = fake.get(DEPLOYMENT, name, NAMESPACE)
            return (
                live["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/llm:1"
                and live["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "serving-operator"
                and fake.get(SERVICE, name, NAMESPACE)["spec"]["selector"]["serving-operator.dev/service"]
                == "llama"
                and fake.get(HTTP_ROUTE, "llama", NAMESPACE)["spec"] == route["spec"]
            )

        await until(restored, fake)
        await quiet(fake, 0.5)


async def test_a_foreign_namesake_is_untouched(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Service that somebody else has by the stable Service's name stays as it is, and a condition says so."""
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "llama", "namespace": NAMESPACE},
        "spec": {"ports": [{"port": 1234}], "selector": {"app": "other"}},
    }
    fake.write(foreign, manager="somebody")
    before = fake.get(SERVICE, "llama", NAMESPACE)
    fake.write(external())
    monkeypatch.setattr("serving_operator.decide.LOOK_AGAIN_SECONDS", 0.5)

    async with operator(fake, tmp_path, monkeypatch):
        said = await until(lambda: condition(fake, "NameConflict"), fake)
        await quiet(fake, 0.5)

        assert said["status"] == "True"
        assert "kubectl -n team delete service llama" in said["message"]
        assert fake.get(SERVICE, "llama", NAMESPACE) == before

        fake.remove(SERVICE, "llama", NAMESPACE)
        await until(lambda: ready(fake) and not condition(fake, "NameConflict"), fake)


async def test_ghosts_end_with_the_next_resync(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that vanished while no watch could tell is not given children, and is forgotten by the resync."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch, resync_seconds=1) as running:
        await until(lambda: ready(fake), fake)
        await quiet(fake, 0.5)
        with fake.partition():
            fake.remove(INFERENCE_SERVICE, "llama", NAMESPACE)
            fake.compact()

        def shown() -> float | None:
            labels = {"namespace": NAMESPACE, "service": "llama"}
            return running.metrics.registry.get_sample_value("serving_inferenceservice_ready", labels)

        await until(lambda: shown() is None)
        assert fake.objects(DEPLOYMENT) == []


async def test_what_ends_while_the_operator_starts_is_noticed_soon(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first list and before the watches begin: no event tells of it, and it is put back all the same."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        await quiet(fake, 0.5)
    name, start = child(fake)["metadata"]["name"], Informer.start

    def removed_before(informer: Informer) -> object:
        fake.remove(DEPLOYMENT, name, NAMESPACE)
        return start(informer)

    monkeypatch.setattr(Informer, "start", removed_before)
    monkeypatch.setattr("serving_operator.resync.FIRST_SECONDS", 1.0)
    async with operator(fake, tmp_path, monkeypatch, resync_seconds=3600):
        await until(lambda: fake.get(DEPLOYMENT, name, NAMESPACE), fake)


async def test_deleting_a_service_is_silent(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a deletion nothing is written, nothing is left, and a new service of the same name works."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        before = await quiet(fake, 0.5)
        fake.remove(INFERENCE_SERVICE, "llama", NAMESPACE)
        assert await quiet(fake, 1) == before
        assert [item for kind in CHILDREN for item in fake.objects(kind, NAMESPACE)] == []

        fake.write(external())
        await until(lambda: ready(fake), fake)


@pytest.mark.parametrize("code", [400, 403, 413, 422])
async def test_a_refusal_is_told_and_tried_again(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """A child that is refused, with whatever code, is no crash: status names the cause, and it goes on when it may."""
    refusals = 6
    fake.fail(
        times=refusals,
        status=code,
        match=lambda verb, resource, name: (verb, resource) == ("create", "deployments"),
    )
    monkeypatch.setattr("serving_operator.reconciler.REFUSED_SECONDS", 0.3)
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: condition(fake, "Stalled").get("reason") == "Refused", fake)
        await until(lambda: ready(fake), fake)


async def test_a_refusal_is_not_asked_for_again_every_second(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What admission refuses is tried again after a while: nothing but a person changes it."""
    fake.fail(
        times=1000,
        status=403,
        match=lambda verb, resource, name: (verb, resource) == ("create", "deployments"),
    )
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: condition(fake, "Stalled").get("reason") == "Refused", fake)
        before = len(fake.log)
        await asyncio.sleep(4)
        tried = [one for one in fake.log[before:] if one.verb == "create" and one.resource == "deployments"]

    assert len(tried) <= 1


async def test_only_the_stated_namespaces_are_served(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With namespaces stated nothing outside them is read or written, and no right beyond them is needed."""
    fake.namespace("other")
    elsewhere = external("elsewhere")
    elsewhere["metadata"]["namespace"] = "other"
    fake.write(elsewhere)
    fake.write(external())

    async with operator(fake, tmp_path, monkeypatch, namespaces=(NAMESPACE,)):
        await until(lambda: ready(fake), fake)
        name = child(fake)["metadata"]["name"]
        fake.remove(POD_DISRUPTION_BUDGET, name, NAMESPACE)
        await until(lambda: fake.get(POD_DISRUPTION_BUDGET, name, NAMESPACE), fake)

    assert fake.objects(DEPLOYMENT, "other") == []
    touched = {request.namespace for request in fake.log if request.user == "operator"}
    assert touched == {NAMESPACE, "serving-system"}


async def test_an_outage_is_survived(fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches that break are taken up again; what changed meanwhile is seen."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch):
        await until(lambda: ready(fake), fake)
        with fake.partition():
            await asyncio.sleep(1)
        name = child(fake)["metadata"]["name"]
        fake.remove(POD_DISRUPTION_BUDGET, name, NAMESPACE)

        await until(lambda: fake.get(POD_DISRUPTION_BUDGET, name, NAMESPACE))


async def test_without_gateway_api_the_missing_crd_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where HTTPRoutes are not served the operator works, and RouteProgrammed says what is missing."""
    with FakeKube(gateway=False) as fake:
        fake.namespace(NAMESPACE)
        fake.write(external())
        async with operator(fake, tmp_path, monkeypatch):
            said = await until(lambda: condition(fake, "RouteProgrammed"), fake)

    assert said["status"] != "True"
    assert "httproutes" in said["message"].lower()


@pytest.mark.parametrize("last", ["inferenceautoscalers.yaml", "servingruntimes.yaml"])
async def test_crds_may_come_later(last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator that is installed before its CRDs waits for all of them, says so, and stops when it is told to."""
    monkeypatch.setattr("serving_operator.program.CRD_SECONDS", 0.2)
    with FakeKube(crds=None) as fake:
        fake.namespace(NAMESPACE)
        async with operator(fake, tmp_path, monkeypatch):
            await asyncio.sleep(1)
        async with operator(fake, tmp_path, monkeypatch):
            await asyncio.sleep(1)
            for path in sorted(CRDS, key=lambda path: path.name == last):
                fake.write(yaml.safe_load(path.read_text()))
                await asyncio.sleep(0.5)
            fake.write(external())
            await until(lambda: ready(fake), fake)


async def test_the_second_process_stands_by(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes one works; when it stops, the other takes over at once and writes nothing needlessly."""
    fake.write(external())
    leader = {"name": "serving-operator"}
    async with operator(fake, tmp_path, monkeypatch) as first:
        await until(lambda: ready(fake), fake)
        async with operator(fake, tmp_path, monkeypatch) as second:
            before = await quiet(fake)
            value = second.metrics.registry.get_sample_value("leader_election_master_status", leader)
            assert value == 0
            first.stop()
            await until(
                lambda: second.metrics.registry.get_sample_value("leader_election_master_status", leader) == 1
            )
            assert await quiet(fake) == before
            name = child(fake)["metadata"]["name"]
            fake.remove(POD_DISRUPTION_BUDGET, name, NAMESPACE)
            await until(lambda: fake.get(POD_DISRUPTION_BUDGET, name, NAMESPACE))


async def test_the_endpoint_tells(fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz and /readyz answer, and /metrics has the series that dashboards read."""
    fake.write(external())
    async with operator(fake, tmp_path, monkeypatch) as running:
        await until(lambda: ready(fake), fake)
        await quiet(fake)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{running.port}") as http:
            for path in ("/healthz", "/readyz"):
                async with http.get(path) as answer:
                    assert answer.status == 200
            async with http.get("/metrics") as answer:
                shown = await answer.text()

    for line in (
        'serving_inferenceservice_ready{namespace="team",service="llama"} 1.0',
        'leader_election_master_status{name="serving-operator"} 1.0',
        'workqueue_depth{name="inferenceservice"} 0.0',
        "controller_runtime_reconcile_total{",
        'rest_client_requests_total{code="201",method="POST"}',
        'serving_condition{condition="Ready",namespace="team"',
        "serving_revision_weight_percent{",
    ):
        assert line in shown
