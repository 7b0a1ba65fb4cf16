"""From nothing to the first answered request: cluster, operator and autoscaler, trained models, service."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

import aiohttp

from loadtests.demo.commands import REPOSITORY, CommandError, Commands, run_visibly
from loadtests.generator import Request
from localcluster import foreign
from localcluster.cluster import Cluster as LocalCluster
from serving_api.names import AUTOSCALER, OPERATOR, SYSTEM_NAMESPACE

Overlay = Literal["base", "high-availability", "network-policies", "prometheus-operator", "single-namespace"]
"""What of `manifests` is installed."""

SERVICE, NAMESPACE = "digits", "demo"
HOST = "digits.demo.localhost"
PROPAGATION_DELAY_SECONDS = 2
"""The local gateway acknowledges only what its Envoy has in force, so little is left to wait for."""
THIS_MACHINE = "127.0.0.1/32"
"""Models may come from a store that runs beside the local cluster."""
TIMEOUT_SECONDS = 10.0
"""How long a request may take."""
_FIRST_ANSWER_SECONDS = 300.0
_COLD_ANSWERS, _ANSWERS = 5, 15


class SetupError(Exception):
    """The set-up did not reach its end; the message says where, and what to look at."""


def request_to(local: LocalCluster) -> Request:
    """Return the request that the demo's model answers, through the local cluster's gateway."""
    body = (REPOSITORY / "manifests/demo/request.json").read_bytes()
    headers = {"host": HOST, "content-type": "application/json"}
    return Request(f"{local.gateway_url}/v2/models/digits/infer", "POST", headers, body, TIMEOUT_SECONDS)


async def side_by_side(*steps: Coroutine[Any, Any, None]) -> None:
    """Do the steps side by side; the first failure cancels the rest and is raised as it is."""
    tasks = [asyncio.create_task(step) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def start_cluster(run_dir: Path) -> None:
    """Start the local cluster, or find that it runs. Raises SetupError."""
    arguments = (sys.executable, "-m", "localcluster", "up", "--run-dir", str(run_dir))
    if status := await run_visibly(*arguments):
        raise SetupError(f"`localcluster up` ended with status {status}")


def stop_cluster(run_dir: Path) -> None:
    """Stop the local cluster and all that it started; no Ctrl-C in this terminal reaches the command that does it."""
    command = (sys.executable, "-m", "localcluster", "down", "--run-dir", str(run_dir))
    subprocess.run(command, cwd=REPOSITORY, start_new_session=True)


def configuration(prometheus_url: str) -> str:
    """Return the administrator's configuration on the local cluster, as JSON, which is YAML too."""
    return json.dumps(
        {
            "prometheus": {"url": prometheus_url},
            "operator": {"propagationDelaySeconds": PROPAGATION_DELAY_SECONDS},
            "models": {"downloadNetworks": [THIS_MACHINE]},
        }
    )


async def install(commands: Commands, prometheus_url: str, overlay: Overlay, out: Path) -> None:
    """Install operator and autoscaler as anyone would, and wait until both are ready."""
    folder, namespace = (
        "manifests/base" if overlay == "base" else f"manifests/overlays/{overlay}",
        SYSTEM_NAMESPACE,
    )
    if overlay == "single-namespace":
        folder, namespace = str(_own_kustomization(out / "install", folder)), NAMESPACE
        await commands.kubectl("apply -f manifests/demo/namespace.yaml")
        await commands.kubectl("apply --server-side -k crds")
        await commands.kubectl("apply --server-side -f manifests/base/rbac-users.yaml")
    else:
        await commands.kubectl("apply --server-side -f manifests/base/namespace.yaml")
    if overlay == "prometheus-operator":
        kinds = await asyncio.to_thread(foreign.crds, overlay)
        for name in ("podmonitors", "prometheusrules"):
            await commands.kubectl(f"apply --server-side -f {kinds / f'monitoring.coreos.com_{name}.yaml'}")
            await commands.kubectl(f"wait --for=condition=Established crd/{name}.monitoring.coreos.com")
    existing = await commands.kubectl(f"-n {namespace} get configmaps -o name")
    if "configmap/serving-config" not in existing.split():
        await commands.kubectl(
            f"-n {namespace} create configmap serving-config "
            f"--from-literal=config.yaml={shlex.quote(configuration(prometheus_url))}"
        )
    await commands.kubectl(f"apply --server-side -k {folder}")
    await commands.kubectl(
        "wait --for=condition=Established --timeout=60s crd/inferenceservices.serving-operator.dev "
        "crd/inferenceautoscalers.serving-operator.dev"
    )
    for name in (OPERATOR, AUTOSCALER):
        await commands.kubectl(f"-n {namespace} rollout status deployment/{name} --timeout=120s")


def _own_kustomization(folder: Path, overlay: str) -> Path:
    """Write a kustomization that puts an overlay into the demo's namespace, as a user's own would."""
    folder.mkdir(parents=True, exist_ok=True)
    base = os.path.relpath(REPOSITORY / overlay, folder.resolve())
    content = {"namespace": NAMESPACE, "resources": [base]}
    (folder / "kustomization.yaml").write_text(json.dumps(content) + "\n", encoding="utf-8")
    return folder


async def train(commands: Commands, say: Callable[[str], None]) -> None:
    """Train the four versions in the cluster. Raises SetupError with what the Job's pods say of their failure."""
    await commands.kubectl("apply -f manifests/demo/namespace.yaml")
    await commands.kubectl("apply -k manifests/demo/train")
    say("A Job trains four versions of a digit classifier into a volume. Version 3 has a mistake in it.")
    ends = [
        asyncio.create_task(
            commands.kubectl(f"-n {NAMESPACE} wait --for=condition={end} --timeout=240s job/train-digits")
        )
        for end in ("Complete", "Failed")
    ]
    complete, failed = ends
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)
    if complete.cancelled() or complete.exception():
        pods = await _asked(
            commands,
            "get pods -l app.kubernetes.io/name=train-digits -o custom-columns=POD:.metadata.name,"
            "REASON:.status.containerStatuses[*].state.*.reason,MESSAGE:.status.containerStatuses[*].state.*.message",
        )
        ended = "did not end within 240 s" if failed.cancelled() or failed.exception() else "failed"
        raise SetupError(f"the Job train-digits {ended}; its pods say:\n{pods}")


async def serve(commands: Commands, manifest: str = "-f manifests/demo/service-v1.yaml") -> None:
    """Apply the first version, in place of what an earlier run left; `manifest` is what follows `kubectl apply`."""
    left = await commands.kubectl(f"-n {NAMESPACE} get infsvc -o name")
    if left.strip():
        await commands.kubectl(f"-n {NAMESPACE} delete infsvc {SERVICE} --cascade=foreground")
    await commands.kubectl(f"-n {NAMESPACE} apply {manifest}")


async def first_answer(request: Request, commands: Commands) -> None:
    """Ask once a second until the answer is 200. Raises SetupError with the service's conditions."""
    timeout = aiohttp.ClientTimeout(total=5)
    last = "no answer"
    try:
        async with asyncio.timeout(_FIRST_ANSWER_SECONDS), aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    async with session.post(
                        request.url, headers=request.headers, data=request.body
                    ) as response:
                        if response.status == 200:
                            return
                        last = f"status {response.status}"
                except (aiohttp.ClientError, TimeoutError) as error:
                    last = f"{type(error).__name__}: {error}"
                await asyncio.sleep(1)
    except TimeoutError:
        described = await _asked(commands, "get infsvc,infas,deployments,pods,httproutes")
        raise SetupError(
            f"no 200 through the gateway within {_FIRST_ANSWER_SECONDS:.0f} s (last: {last})\n{described}"
        ) from None


async def answers_one_by_one(request: Request) -> list[float]:
    """How long, in seconds, each answer takes while nothing else is asked. Raises SetupError."""
    took: list[float] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as session:
        for _ in range(_COLD_ANSWERS + _ANSWERS):
            began = time.monotonic()
            try:
                async with session.post(request.url, headers=request.headers, data=request.body) as response:
                    await response.read()
                    response.raise_for_status()
            except (aiohttp.ClientError, TimeoutError) as error:
                raise SetupError(
                    f"version 1 did not go on answering: {type(error).__name__}: {error}"
                ) from error
            took.append(time.monotonic() - began)
    return took[_COLD_ANSWERS:]


async def _asked(commands: Commands, line: str) -> str:
    """What a kubectl command answers, or why it does not: for messages about another failure."""
    try:
        return await commands.kubectl(f"-n {NAMESPACE} {line}")
    except CommandError as error:
        return str(error)
