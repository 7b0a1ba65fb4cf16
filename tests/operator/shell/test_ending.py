"""When the process ends, and how: what it cannot mend itself, a new process can."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving_io.kinds import DEPLOYMENT, LEASE
from serving_operator.observe import ALL_WATCHES, WATCH, ended
from tests.fakes.kube import FakeKube
from tests.fakes.kube.resources import built_in
from tests.operator.shell.surroundings import (
    FLAGS,
    NAMESPACE,
    WAIT_SECONDS,
    condition,
    external,
    process,
    until,
)

SYSTEM = "serving-system"


@pytest.fixture
def fake() -> Iterator[FakeKube]:
    """A fake API server with the namespace of the tests."""
    with FakeKube() as server:
        server.namespace(NAMESPACE)
        yield server


def holder(fake: FakeKube) -> str:
    """Who leads; empty if nobody does."""
    lease = fake.get(LEASE, "serving-operator", SYSTEM) or {}
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


async def test_a_lost_lease_ends_the_process(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who finds another holder in the Lease writes nothing any more, and ends."""
    running = process(fake, tmp_path, monkeypatch)
    task = asyncio.create_task(running.run())
    await until(
        lambda: running.metrics.registry.get_sample_value(
            "serving_operator_resyncs_total", {"result": "success"}
        )
    )

    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    metadata = {"name": "serving-operator", "namespace": SYSTEM}
    fake.write(lease | {"metadata": metadata, "spec": {"holderIdentity": "somebody-else"}})

    assert await asyncio.wait_for(task, WAIT_SECONDS) == 1
    assert holder(fake) == "somebody-else"


async def test_a_dead_watch_ends_the_process(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot watch any more does not go on blindly; it releases the Lease for its successor."""
    monkeypatch.setattr("serving_operator.observe.ERROR_BACKOFFS_SECONDS", (0.1, 0.1))
    running = process(fake, tmp_path, monkeypatch)
    task = asyncio.create_task(running.run())
    fake.write(external())
    await until(lambda: condition(fake, "Reconciling"))

    fake.knobs.rules["operator"] = [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["leases", "inferenceservices"]}
    ]
    fake.compact()

    assert await asyncio.wait_for(task, WAIT_SECONDS) == 1
    assert holder(fake) == ""


async def test_one_watch_that_died_is_noticed_though_another_ignores_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a second watch loses the cancellation that follows, and Kopf waits for it, the process ends all the same."""
    monkeypatch.setattr("serving_operator.observe.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("serving_operator.observe.STOP_SECONDS", 0.2)

    async def hangs() -> None:
        both = [asyncio.sleep(0.2), asyncio.Event().wait()]
        watches = [asyncio.create_task(one, name=f"{WATCH}{at}") for at, one in enumerate(both)]
        await asyncio.create_task(asyncio.wait(watches), name=ALL_WATCHES)

    operator = asyncio.create_task(hangs())
    with pytest.raises(RuntimeError, match="watches have died"):
        await ended(operator)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def test_watches_that_died_are_noticed_though_kopf_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Kopf waits for ever after a watch has died, the process ends all the same."""
    monkeypatch.setattr("serving_operator.observe.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("serving_operator.observe.STOP_SECONDS", 0.2)

    async def hangs() -> None:
        watches = asyncio.create_task(asyncio.sleep(0.2), name=ALL_WATCHES)
        await watches
        await asyncio.Event().wait()

    operator = asyncio.create_task(hangs())
    with pytest.raises(RuntimeError, match="watches have died"):
        await ended(operator)
    operator.cancel()


async def test_kopf_calls_its_watches_by_the_name_that_is_looked_for(
    fake: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their end would not be noticed under another name."""
    seen: set[str] = set()

    async def listens(operator: asyncio.Task[None]) -> None:
        while not operator.done():
            seen.update(task.get_name() for task in asyncio.all_tasks())
            await asyncio.sleep(0.05)
        await operator

    monkeypatch.setattr("serving_operator.observe.ended", listens)
    running = process(fake, tmp_path, monkeypatch)
    task = asyncio.create_task(running.run())
    await until(lambda: ALL_WATCHES in seen)
    running.stop()

    assert await asyncio.wait_for(task, WAIT_SECONDS) == 0


async def test_a_gateway_api_that_comes_later_is_taken_up_by_a_new_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When HTTPRoutes begin to be served the process ends well, and the next one makes routes."""
    with FakeKube(gateway=False) as fake:
        fake.namespace(NAMESPACE)
        running = process(fake, tmp_path, monkeypatch, resync_seconds=0.5)
        task = asyncio.create_task(running.run())
        fake.write(external())
        await until(lambda: condition(fake, "RouteProgrammed"))

        present = {resource.kind for resource in fake.store.objects}
        for resource in built_in(gateway=True, keda=False):
            if resource.kind not in present:
                fake.do(fake.requests.serve, resource)

        assert await asyncio.wait_for(task, WAIT_SECONDS) == 0
        assert holder(fake) == ""


async def test_the_command_ends_on_a_signal(fake: FakeKube, tmp_path: Path) -> None:
    """The operator releases its Lease on SIGTERM and exits 0, and logs one line per thing."""
    environ = dict(os.environ, KUBECONFIG=str(fake.kubeconfig(tmp_path / "kubeconfig", "operator")))
    fake.write(external())
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serving_operator", *FLAGS, env=environ, stderr=asyncio.subprocess.PIPE
    )
    try:
        await until(lambda: fake.objects(DEPLOYMENT))
        await until(lambda: condition(fake, "Reconciling"))
        command.send_signal(signal.SIGTERM)
        _, written = await asyncio.wait_for(command.communicate(), WAIT_SECONDS)
    finally:
        if command.returncode is None:
            command.kill()
            await command.wait()

    assert command.returncode == 0
    assert holder(fake) == ""
    lines = written.decode().splitlines()
    assert any("create Deployment" in line for line in lines)
    assert all(line[:2] == "20" for line in lines), "a line without a time stamp"


async def test_who_ends_without_the_api_server_logs_no_traceback(tmp_path: Path) -> None:
    """Kopf's requests that are under way then are given up, and that is no fault of anybody's."""
    with FakeKube() as fake:
        fake.namespace(NAMESPACE)
        environ = dict(os.environ, KUBECONFIG=str(fake.kubeconfig(tmp_path / "kubeconfig", "operator")))
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "serving_operator", *FLAGS, env=environ, stderr=asyncio.subprocess.PIPE
        )
        fake.write(external())
        await until(lambda: len(fake.objects(DEPLOYMENT)) == 1)
        fake.write(external("mistral"))
        await until(lambda: len(fake.objects(DEPLOYMENT)) == 2)  # so watches are open
    assert command.stderr is not None
    line = b""
    while b"Request attempt #3" not in line:
        line = await asyncio.wait_for(command.stderr.readline(), WAIT_SECONDS)
    await asyncio.sleep(0.5)  # all of them wait for their next attempt
    command.send_signal(signal.SIGTERM)
    _, written = await asyncio.wait_for(command.communicate(), WAIT_SECONDS)

    assert command.returncode == 0
    assert [line for line in written.decode().splitlines() if line[:2] != "20"] == []


async def test_nobody_to_talk_to_is_said(tmp_path: Path) -> None:
    """Without a kubeconfig and a service account the command says what to set, and fails."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("KUBE")}
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "serving_operator", *FLAGS, env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, written = await asyncio.wait_for(command.communicate(), WAIT_SECONDS)

    assert command.returncode == 1
    assert "KUBECONFIG" in written.decode()
