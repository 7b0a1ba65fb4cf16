"""Plays turns: who scales is changed by kubectl, the load arrives, and pods are followed to their end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from shlex import quote
from typing import Any

import yaml

from autoscaler.targets import seconds_of, timestamp_of
from loadtests.demo.commands import REPOSITORY, Commands
from loadtests.demo.setup import NAMESPACE, SERVICE
from loadtests.generator import LoadGenerator, Request
from loadtests.live import clocks, course, policies
from loadtests.live.policies import Policy
from loadtests.live.reaction import Reaction, reaction
from loadtests.live.turn import Life, Turn
from loadtests.scale.audit import Log
from localcluster.cluster import Cluster as LocalCluster
from serving_api.names import SERVICE_LABEL
from serving_io.cluster import Cluster
from serving_io.kinds import DEPLOYMENT, POD

QUIET_SECONDS = 90.0
"""At the first rate before each turn: longer than the longest window of a rate and than the peers keep replicas."""
SETTLE_SECONDS = 300.0
REACTION_SECONDS = 300.0
BASE: Mapping[str, Any] = yaml.safe_load(
    (REPOSITORY / "manifests/demo/service-v1.yaml").read_text(encoding="utf-8")
)
"""The demo's service, of which each policy's is made."""


class StuckError(Exception):
    """Something did not come about; the message says what."""


class Player:
    """A cluster that serves, and how long one request works there."""

    def __init__(
        self,
        cluster: Cluster,
        local: LocalCluster,
        commands: Commands,
        request: Request,
        work_seconds: float,
        out: Path,
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._local, self._commands, self._request = cluster, local, commands, request
        self._work_seconds = work_seconds
        self._out, self._say = out, say

    async def play(self, policy: Policy, number: int) -> Turn:
        """One turn. Raises StuckError, and CommandError."""
        self._say(f"turn {number}: {policy}")
        load_profile = course.profile(self._work_seconds)
        async with (
            LoadGenerator(self._request, seed=1) as load,
            self._in_charge(policy),
            self._followed() as lives,
        ):
            load.set_rate(load_profile.changes[0].rate_per_second)
            await self._settled()
            await asyncio.sleep(QUIET_SECONDS)
            begin, begin_unix = load.now_seconds, load.started_unix_seconds + load.now_seconds
            await load.play(load_profile)
            seconds = load.now_seconds - begin
            await load.stop(grace_seconds=self._request.timeout_seconds + 1)
            ratio = await self._model_to_real(policy, number, begin_unix, begin_unix + seconds)
        return Turn(
            policy,
            [one for one in load.records if one.scheduled_seconds >= begin],
            [
                Life(start - begin_unix, None if end is None else end - begin_unix)
                for start, end in lives.values()
            ],
            seconds,
            ratio,
        )

    async def react(self, policy: Policy, steps: int) -> list[Reaction]:
        """Time reactions to steps of the load, each from one settled replica. Raises StuckError, and CommandError."""
        random = Random(policy)
        found: list[Reaction] = []
        async with LoadGenerator(self._request, seed=1) as load, self._in_charge(policy):
            for step in range(1, steps + 1):
                load.set_rate(course.LOW_WORK / self._work_seconds)
                await self._settled()
                # Not in step with anybody's interval.
                await asyncio.sleep(QUIET_SECONDS + random.uniform(0, 30))
                timed = await self._reaction(policy, load)
                found += [timed] if timed else []
                self._say(
                    f"{policy}, step {step} of {steps}: {f'{timed.total:.1f} s' if timed else 'by chance'}"
                )
            load.set_rate(0.0)
        return found

    async def _reaction(self, policy: Policy, load: LoadGenerator) -> Reaction | None:
        log = Log(self._local.audit_log)
        async with clocks.pod_samples(self._cluster) as pod_samples:
            load.set_rate(course.HIGH_WORK / self._work_seconds)
            stepped = time.time()
            while (written := clocks.write_of(policy, log.requests(), stepped)) is None:
                if time.time() - stepped > REACTION_SECONDS:
                    raise StuckError(f"{policy} did not scale within {REACTION_SECONDS:.0f} s of a step")
                await asyncio.sleep(0.5)
        if policy == "ours":
            looked: float | None = written - await clocks.tick_seconds(self._local.prometheus_url)
        else:
            looked = clocks.look_of_hpa(log.requests(), written)
        if looked is None:
            raise StuckError("the audit log does not say when the HPA's controller looked")
        samples = (
            sorted(pod_samples)
            if policy == "hpa"
            else await clocks.scrapes(self._local.prometheus_url, time.time() - stepped + 1)
        )
        return reaction(policy, stepped, samples, looked, written)

    @asynccontextmanager
    async def _in_charge(self, policy: Policy) -> AsyncIterator[None]:
        """Let a policy scale the service while entered."""
        await self._apply(policies.service(BASE, policy))
        scaler = {
            "ours": None,
            "hpa": policies.hpa(SERVICE),
            "keda": policies.scaled_object(
                SERVICE, NAMESPACE, self._local.prometheus_url, self._work_seconds
            ),
        }[policy]
        try:
            if scaler is not None:
                await self._apply(scaler)
            yield
        finally:
            if scaler is not None:
                await self._commands.kubectl(
                    f"-n {NAMESPACE} delete {scaler['kind'].lower()} {SERVICE} --ignore-not-found --timeout=60s"
                )

    async def _apply(self, manifest: Mapping[str, Any]) -> None:
        file = self._out / f"{manifest['kind'].lower()}.json"
        file.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        await self._commands.kubectl(f"-n {NAMESPACE} apply --server-side --force-conflicts -f {file}")

    async def _settled(self) -> None:
        """Wait for one ready replica and no other."""
        for _ in range(round(SETTLE_SECONDS)):
            deployment = await self._deployment()
            status = deployment.get("status", {})
            if deployment["spec"]["replicas"] == 1 == status.get("readyReplicas") == status.get("replicas"):
                return
            await asyncio.sleep(1)
        raise StuckError(f"within {SETTLE_SECONDS:.0f} s the service did not come to one ready replica")

    async def _deployment(self) -> Mapping[str, Any]:
        found = await self._cluster.list(DEPLOYMENT, NAMESPACE, label_selector=f"{SERVICE_LABEL}={SERVICE}")
        if len(found.items) != 1:
            raise StuckError(f"one Deployment of {SERVICE} was expected, there are {len(found.items)}")
        return found.items[0]

    @asynccontextmanager
    async def _followed(self) -> AsyncIterator[dict[str, tuple[float, float | None]]]:
        """Follow the service's pods: creation and removal, in Unix seconds, by uid."""
        lives: dict[str, tuple[float, float | None]] = {}
        listed = await self._cluster.list(POD, NAMESPACE, label_selector=f"{SERVICE_LABEL}={SERVICE}")
        for pod in listed.items:
            lives[pod["metadata"]["uid"]] = (seconds_of(pod["metadata"]["creationTimestamp"]), None)

        async def follow() -> None:
            watch = self._cluster.watch(POD, listed.resource_version, NAMESPACE)
            async with aclosing(watch) as events:
                async for event in events:
                    pod = event.object
                    if (pod["metadata"].get("labels") or {}).get(SERVICE_LABEL) != SERVICE:
                        continue
                    end = time.time() if event.type == "DELETED" else None
                    lives[pod["metadata"]["uid"]] = (seconds_of(pod["metadata"]["creationTimestamp"]), end)

        task = asyncio.create_task(follow())
        try:
            yield lives
            if task.done():
                raise StuckError(f"the watch of pods ended: {task.exception()}")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _model_to_real(self, policy: Policy, number: int, begin: float, end: float) -> float | None:
        """Replay the peer's own turn with its model, and return the model's cost beside what the peer asked for."""
        if policy == "ours":
            return None
        deployment = (await self._deployment())["metadata"]["name"]
        folder = self._out / f"replay-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        target = policies.autoscaler(SERVICE, deployment, BASE["spec"]["objective"])
        target["metadata"]["namespace"] = NAMESPACE
        (folder / "autoscaler.yaml").write_text(yaml.safe_dump(target), encoding="utf-8")
        recording = folder / "recording.jsonl.gz"
        await self._commands.servingctl(
            f"replay export --prometheus-url {self._local.prometheus_url} "
            f"--autoscaler {quote(str(folder / 'autoscaler.yaml'))} --out {quote(str(recording))} --step-seconds 5 "
            f"--from {timestamp_of(begin - QUIET_SECONDS)} --to {timestamp_of(end)}"
        )
        await self._commands.servingctl(
            f"replay run {quote(str(recording))} --out {quote(str(folder))} "
            f"--hpa-utilization-percent {policies.UTILIZATION_PERCENT:g} "
            f"--keda-requests-per-second {policies.threshold(self._work_seconds):g} "
            f"--hold-seconds {policies.HOLD_SECONDS} --warm-up-hours {QUIET_SECONDS / 3600:g}"
        )
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        (of_target,) = summary["targets"]
        (name,) = (one for one in of_target["policies"] if one.startswith(f"{policy} at"))
        return float(of_target["policies"][name]["cost_over_recorded"])
